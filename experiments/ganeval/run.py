"""The stages of a run: GANs, their images, the CNNs that judge them, the similarities."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from data_pipelines import side_by_side
from data_pipelines.labelled_images import label_by_set
from data_pipelines.split_images import SplitImages
from experiments.contract import Data, Stages
from experiments.ganeval import data, networks
from experiments.ganeval.config import Config, gan_config
from experiments.ganeval.data import Study
from jaxmed.metrics import set_comparison
from jaxmed.train.fit import init_from_shapes

_SYNTHESIS = 0x73796E
"""Key of the synthetic images: whoever draws from a run's generators gets the same ones."""


@struct.dataclass
class StudyState:
    """Variables of the generators by GAN (none where images come from elsewhere) and of the CNNs, stacked.

    Quantiles and findings are those of `metrics.set_comparison`, stacked by class.
    """

    step: Any
    generators: Mapping[str, Any]
    judges: Any
    quantiles: Any
    findings: Any


def run(config: Config, run_data: Data, stages: Stages) -> StudyState:
    """Trains the GANs and the CNNs, and compares the images."""
    study: Study = run_data.evaluation
    generators = {} if study.synthetic else _train_gans(config, study, stages)
    synthetic = synthesise(config, generators, study)
    judges = _train_judges(config, study, synthetic, stages)

    def compare() -> dict[str, np.ndarray]:
        pairs = [(study.real[name], synthetic[name].whole) for name in config.classes]
        found = [
            set_comparison.compare(real.whole, made, real.subjects, len(real.train)) for real, made in pairs
        ]
        return {name: np.stack([getattr(one, name) for one in found]) for name in found[0]._fields}

    kept = stages.keep("similarities", compare, shared=replace(config, compared="S_S"))
    arrays = (jnp.asarray(kept[name]) for name in ("quantiles", "findings"))
    return StudyState(jnp.asarray(config.num_steps, jnp.int32), generators, judges, *arrays)


def _train_gans(config: Config, study: Study, stages: Stages) -> dict[str, Any]:
    """One after the other; an epoch has its discriminator see all images once."""
    generators, per_step = {}, config.batch_size * config.gan.num_discriminator_steps
    for name in data.groups(config):
        batches, count = data.gan_batches(config, study, name)
        state = stages.fit(
            f"gan-{name}",
            networks.make_algorithm(config, None),
            batches,
            num_steps=-(-config.gan.num_epochs * count // per_step),
            example_batch=data.example_batch(config),
            shared=gan_config(config),
        )
        generators[name] = state.sampler
    return generators


def _train_judges(config: Config, study: Study, synthetic: Mapping[str, SplitImages], stages: Stages) -> Any:
    """Class by class, as many at a time as the config says; their variables, stacked."""
    pairs = [label_by_set(study.real[name].train, synthetic[name].train) for name in config.classes]
    parts = [part for part in pairs for _ in range(config.judge.num_runs)]
    trained, size = [], config.judge.batch_size
    for first in range(0, len(parts), config.judge.num_together):
        own = parts[first : first + config.judge.num_together]
        state = stages.fit(
            f"judges-{first}",
            networks.make_judges(config.judge, len(own)),
            study.make_batches(side_by_side.random_batches(own), size, size, first),
            num_steps=config.num_steps,
            example_batch=data.judge_batch(config, len(own)),
            shared=replace(config, compared="S_S"),
        )
        trained.append(state.members.net.variables)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trained)


def synthesise(config: Config, generators: Mapping[str, Any], study: Study) -> Mapping[str, SplitImages]:
    """As many synthetic as real images of every class, for training and for the test."""
    if study.synthetic:
        return study.synthetic
    found = {}
    for name, own in data.groups(config).items():
        for label in own:
            number, real = config.classes.index(label), study.real[label]
            count, key = len(real.train) + len(real.test), jax.random.key(_SYNTHESIS + number)
            images = networks.generate(config, generators[name], number, count, key)
            found[label] = SplitImages(images[: len(real.train)], images[len(real.train) :], np.empty(0, str))
    return found


def init_state(config: Config, key: Any) -> StudyState:
    """An untrained state of the same shapes."""
    generators = {}
    if not config.synthetic_dir:
        state = init_from_shapes(networks.make_algorithm(config, None), key, data.example_batch(config))
        generators = dict.fromkeys(data.groups(config), state.sampler)
    count = len(config.classes) * config.judge.num_runs
    judges = init_from_shapes(networks.make_judges(config.judge, count), key, data.judge_batch(config, count))
    quantiles, findings = (jnp.zeros((len(config.classes), *shape)) for shape in set_comparison.SHAPES)
    return StudyState(jnp.zeros((), jnp.int32), generators, judges.members.net.variables, quantiles, findings)
