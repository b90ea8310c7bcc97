"""Medical Image Segmentation with Imperfect 3D Bounding Boxes.

E. Redekop, A. Chernyavskiy. DALI workshop at MICCAI 2021, LNCS 13003. doi:10.1007/978-3-030-88210-5_18

Idea: the slices of a 3-D box are loose 2-D boxes, with which segmentation under box constraints fails; a
classifier of patches, trained on a few masks, shrinks them to the object first.
"""

from experiments.boxseg import algorithm, application, config, data, evaluate, run, tables
from experiments.contract import Experiment

EXPERIMENT = Experiment(
    title="Medical Image Segmentation with Imperfect 3D Bounding Boxes (Redekop and Chernyavskiy, DALI 2021)",
    presets=config.PRESETS,
    example_batch=data.example_batch,
    make_data=data.make_data,
    make_algorithm=algorithm.make_algorithm,
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
