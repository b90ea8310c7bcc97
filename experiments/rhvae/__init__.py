"""Data Augmentation with Variational Autoencoders and Manifold Sampling.

C. Chadebec, S. Allassonniere. DALI workshop at MICCAI 2021, LNCS 13003. doi:10.1007/978-3-030-88210-5_17

Idea: draw new images of a small data set not from the prior of a variational autoencoder, but from the
inverse volume element of a metric that it has learned of its latent space, which is large where the data lie.
"""

from experiments.contract import Experiment
from experiments.rhvae import application, config, data, evaluate, run, tables

EXPERIMENT = Experiment(
    title="Data Augmentation with Variational Autoencoders and Manifold Sampling "
    "(Chadebec and Allassonniere, DALI 2021)",
    presets=config.PRESETS,
    example_batch=data.example_batch,
    make_data=data.make_data,
    make_algorithm=run.make_algorithm,
    evaluate=evaluate.evaluate,
    tables=tables.TABLES,
    method_field="method",
    check_data=application.check_data,
    sample=application.sample,
    make_inference=application.make_inference,
    run=run.run,
    init_state=run.init_state,
    data_name=data.built_in_name,
)
