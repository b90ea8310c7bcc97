"""FS-Net: A New Paradigm of Data Expansion for Medical Image Segmentation.

X. Guo, Y. Yang, T. Ma. DALI workshop at MICCAI 2021, LNCS 13003.

Idea: train one network on a small data set and, with little weight, on others; channels and labels are coded
by set, and a small module for each set brings the images into one feature space.
"""

from experiments.contract import Experiment
from experiments.fsnet import algorithm, application, config, data, evaluate, run, tables

EXPERIMENT = Experiment(
    title="FS-Net: A New Paradigm of Data Expansion for Medical Image Segmentation (Guo et al., DALI 2021)",
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
)
