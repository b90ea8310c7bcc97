"""3D-StyleGAN: A Style-Based Generative Adversarial Network for Three-Dimensional Medical Images.

S. Hong, R. Marinescu, A. V. Dalca, A. K. Bonkhoff, M. Bretzner, N. S. Rost, P. Golland. DGM4MICCAI workshop
at MICCAI 2021, LNCS 13003. doi:10.1007/978-3-030-88210-5_3

Idea: StyleGAN2 with three-dimensional convolutions, few channels and short latents makes whole head scans,
and its styles serve to reconstruct unseen heads and to mix the anatomy of two.
"""

from experiments.contract import Experiment
from experiments.stylegan3d import algorithm, application, config, data, evaluate, run, tables

EXPERIMENT = Experiment(
    title="3D-StyleGAN: A Style-Based Generative Adversarial Network for Generative Modeling of "
    "Three-Dimensional Medical Images (Hong et al., DGM4MICCAI 2021)",
    presets=config.PRESETS,
    example_batch=data.example_batch,
    make_data=data.make_data,
    make_algorithm=algorithm.make_algorithm,
    evaluate=evaluate.evaluate,
    tables=tables.TABLES,
    method_field="study",
    check_data=application.check_data,
    sample=application.sample,
    predict=application.predict,
    make_inference=application.make_inference,
    run=run.run,
)
