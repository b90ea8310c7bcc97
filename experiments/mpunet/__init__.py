"""How Few Annotations are Needed for Segmentation Using a Multi-planar U-Net?

W. M. Laprade, M. Perslev, J. Sporring. DALI workshop at MICCAI 2021, LNCS 13003.
doi:10.1007/978-3-030-88210-5_20

Idea: a few annotated planes of a volume become many training images, planes of any orientation that are
    annotated only along the lines in which they cut the annotated ones; a 2-D network is trained on these.
"""

from experiments.contract import Experiment
from experiments.mpunet import application, config, data, evaluate, run, tables
from experiments.mpunet.algorithm import make_algorithm

EXPERIMENT = Experiment(
    title="How Few Annotations are Needed for Segmentation Using a Multi-planar U-Net? "
    "(Laprade et al., DALI 2021)",
    presets=config.PRESETS,
    example_batch=data.example_batch,
    make_data=data.make_data,
    make_algorithm=make_algorithm,
    evaluate=evaluate.evaluate,
    tables=tables.TABLES,
    method_field="method",
    check_data=application.check_data,
    sample=application.sample,
    predict=application.predict,
    make_inference=evaluate.make_inference,
    run=run.run,
    init_state=run.init_state,
)
