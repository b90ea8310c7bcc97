"""Evaluating GANs in Medical Imaging.

L. Tronchin, R. Sicilia, E. Cordelli, S. Ramella, P. Soda. DGM4MICCAI workshop at MICCAI 2021, LNCS 13003.

Idea: judge generated images by networks that are trained to tell them from real ones, and by the structural
similarity of every image to the most similar other one, which shows copies and mode collapse.
"""

from experiments.contract import Experiment
from experiments.ganeval import application, config, data, evaluate, networks, run, tables

EXPERIMENT = Experiment(
    title="Evaluating GANs in Medical Imaging (Tronchin et al., DGM4MICCAI 2021)",
    presets=config.PRESETS,
    example_batch=data.example_batch,
    make_data=data.make_data,
    make_algorithm=networks.make_algorithm,
    evaluate=evaluate.evaluate,
    tables=tables.TABLES,
    method_field="method",
    check_data=application.check_data,
    sample=application.sample,
    make_inference=application.make_inference,
    run=run.run,
    init_state=run.init_state,
)
