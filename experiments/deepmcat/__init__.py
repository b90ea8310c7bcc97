"""DeepMCAT: Large-Scale Deep Clustering for Medical Image Categorization.

T. Kart, W. Bai, B. Glocker, D. Rueckert. DALI workshop at MICCAI 2021, LNCS 13003.

Idea: sort a database of cardiac MR images by kind, without labels, by training a network on the clusters of
its own features.
"""

from experiments.contract import Experiment
from experiments.deepmcat import algorithm, application, config, data, evaluate, tables

EXPERIMENT = Experiment(
    title="DeepMCAT: Large-Scale Deep Clustering for Medical Image Categorization (Kart et al., DALI 2021)",
    presets=config.PRESETS,
    example_batch=data.example_batch,
    make_data=data.make_data,
    make_algorithm=algorithm.make_algorithm,
    evaluate=evaluate.evaluate,
    tables=tables.TABLES,
    check_data=application.check_data,
    sample=application.sample,
    predict=application.predict,
    make_inference=evaluate.make_inference,
)
