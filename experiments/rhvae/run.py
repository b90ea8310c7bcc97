"""The stages of a run: generative models, samples, classifiers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from data_pipelines import side_by_side
from data_pipelines.image_study import ImageStudy
from data_pipelines.labelled_images import LabelledImages
from experiments.contract import Data, Stages
from experiments.rhvae import classifiers, data, generative
from experiments.rhvae.config import Config, generator_config
from jaxmed.train.fit import Algorithm, init_from_shapes


def make_algorithm(config: Config, data_: Data | None) -> Algorithm:
    """All generative models of the method, or, where it has none, all its classifiers of the last kind."""
    if config.method in data.GENERATIVE:
        return generative.make_generators(generator_config(config), data.num_models(config))
    return classifiers.make_ensemble(config, classifiers.kinds(config)[-1])


@struct.dataclass
class StudyState:
    """Parameters of the best models, stacked, and latents drawn from them, (models, num_samples, latents).

    `plane` is the model with two latents that Fig. 1 shows.
    """

    step: Any
    generators: Any
    latents: Any
    acceptance: Any
    plane: Any
    classifiers: Mapping[str, Any]


def run(config: Config, run_data: Data, stages: Stages) -> StudyState:
    """Trains the generative models, draws from them, and trains the classifiers."""
    study: ImageStudy = run_data.evaluation
    generators, z, acceptance, plane = {}, {}, 1.0, {}
    made: Mapping[str, LabelledImages] = {}
    if config.method in data.GENERATIVE:
        shared = generator_config(config)
        generators = _train_generators("generators", shared, study, stages, study.class_images)
        drawn = stages.keep(
            "latents",
            lambda: generative.draw_latents(config, generators, study, stages.key("latents")),
            shared=replace(shared, method=config.method, sampler=config.sampler, num_samples=1),
        )
        acceptance = float(drawn["acceptance"].mean())
        z = drawn["z"][:, : config.num_samples].astype(np.float32)
        made = generative.synthetic_parts(config, generators, z)
    elif config.method == "classical":
        made = generative.augmented_parts(config, study, stages.key("augmented"))
    if config.method == "manifold":
        images = generative.plane_images(study).images
        stacked = _train_generators("plane", generative.plane_config(config), study, stages, [images])
        plane = jax.tree.map(lambda leaf: leaf[0], stacked)
    trained = _train_classifiers(config, study, stages, made)
    step = jnp.asarray(config.num_steps, jnp.int32)
    return StudyState(step, generators, jax.tree.map(jnp.asarray, z), jnp.asarray(acceptance), plane, trained)


def _train_generators(name: str, config: Config, study: ImageStudy, stages: Stages, images: list) -> Any:
    """One model for each array of images, as a stage that runs share; their best parameters, stacked."""
    state = stages.fit(
        name,
        generative.make_generators(config, len(images)),
        study.make_batches(side_by_side.whole_batches(images, config.batch_size), config.batch_size),
        num_steps=config.generator.num_steps,
        example_batch=data.generator_batch(config, len(images)),
        shared=config,
    )
    return state.members.best_params


def _train_classifiers(
    config: Config, study: ImageStudy, stages: Stages, made: Mapping[str, LabelledImages]
) -> dict[str, Any]:
    """Trains every kind of classifier on the raw data with what was made of them, and on that alone."""
    parts = []
    for name, one in study.sets.items():
        own = [one.train.join(made[name]), made[name]] if made else [one.train]
        parts += [part for part in own for _ in range(config.num_runs)]
    batches = study.make_batches(side_by_side.random_batches(parts), config.batch_size)
    trained, example = {}, data.classifier_batch(config)
    for kind in classifiers.kinds(config):
        algorithm = classifiers.make_kept(config, kind, study)
        state = stages.fit(kind, algorithm, batches, num_steps=config.num_steps, example_batch=example)
        assert algorithm.refresh is not None
        trained[kind] = algorithm.refresh(state).best
    return trained


def init_state(config: Config, key: Any) -> StudyState:
    """An untrained state of the same shapes."""
    generators, z, plane = {}, {}, {}
    if config.method in data.GENERATIVE:
        start = init_from_shapes(make_algorithm(config, None), key, data.example_batch(config))
        generators = start.members.best_params
        shape = (data.num_models(config), config.num_samples, config.generator.num_latents)
        z = jnp.zeros(shape, jnp.float32)
    if config.method == "manifold":
        model = generative.make_model(generative.plane_config(config))
        plane = model.init(key, jnp.zeros((1, *config.shape, 1)), train=False)["params"]
    trained, example = {}, data.classifier_batch(config)
    for kind in classifiers.kinds(config):
        state = init_from_shapes(classifiers.make_ensemble(config, kind), key, example)
        trained[kind] = state.members.net.variables
    return StudyState(jnp.zeros((), jnp.int32), generators, z, jnp.ones(()), plane, trained)
