"""Zero-Shot Domain Adaptation in CT Segmentation by Filtered Back Projection Augmentation.

T. Saparov, A. Kurmukov, B. Shirokikh, M. Belyaev. DALI workshop at MICCAI 2021, LNCS 13003.

Idea: augment CT slices in sinogram space by refiltering them with a random reconstruction kernel, so that
a network trained on one kernel predicts the same on all.
"""

from experiments.contract import Experiment
from experiments.fbpaug import algorithm, application, config, data, evaluate, tables

EXPERIMENT = Experiment(
    title="Zero-Shot Domain Adaptation in CT Segmentation by Filtered Back Projection Augmentation "
    "(Saparov et al., DALI 2021)",
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
)
