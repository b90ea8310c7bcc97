"""An Efficient Data Strategy for the Detection of Brain Aneurysms from MRA with Deep Learning.

Y. Assis, L. Liao, F. Pierre, R. Anxionnat, E. Kerrien. DALI workshop at MICCAI 2021, LNCS 13003.

Idea: annotate each aneurysm roughly, as a sphere by two points, and train a plain 3-D U-Net on small patches
that are chosen and made well: negatives half on vessels, positives copied and distorted many times.
"""

from experiments.aneurysm import algorithm, application, config, data, evaluate, tables
from experiments.contract import Experiment

EXPERIMENT = Experiment(
    title="An Efficient Data Strategy for the Detection of Brain Aneurysms from MRA with Deep Learning "
    "(Assis et al., DALI 2021)",
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
