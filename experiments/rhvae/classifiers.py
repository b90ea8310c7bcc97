"""Classifiers of every set, mode and run, trained side by side; the best by validation are kept."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from experiments.rhvae.config import Config
from experiments.rhvae.data import Study, modes, num_classes, num_classifiers
from jaxmed.algorithms import replicas
from jaxmed.algorithms.supervised import supervised
from jaxmed.models.densenet import DenseNet
from jaxmed.models.feature_network import FeatureNetwork
from jaxmed.models.perceptron import Perceptron
from jaxmed.train.fit import Algorithm

_cross_entropy = optax.softmax_cross_entropy_with_integer_labels


def kinds(config: Config) -> tuple[str, ...]:
    """The classifiers of the source's table."""
    return ("densenet",) if config.source == "characters" else ("mlp", "cnn", "densenet")


def make_model(config: Config, kind: str) -> nn.Module:
    """A classifier; DenseNet has 30,810 parameters at the paper preset's sizes."""
    sizes, classes = config.classifier, num_classes(config)
    if kind == "mlp":
        return Perceptron(classes, sizes.hidden)
    if kind == "cnn":
        return FeatureNetwork(classes, sizes.widths)
    return DenseNet(classes, sizes.growth, sizes.depth)


def make_ensemble(config: Config, kind: str) -> Algorithm:
    """All classifiers of one kind: AdamW and cross-entropy."""
    member = supervised(
        make_model(config, kind),
        optax.adamw(config.classifier.learning_rate, weight_decay=config.classifier.weight_decay),
        prepare=lambda batch, key: (batch["image"], batch["label"]),
        loss=_cross_entropy,
    )
    return replicas.replicate(member, num_classifiers(config))


def make_kept(config: Config, kind: str, study: Study) -> Algorithm:
    """The ensemble, with a look at the validation images in every refresh."""

    def validation_loss(variables):
        losses = [
            _cross_entropy(logits, jnp.asarray(study.sets[name].validation.labels)[None]).mean(axis=1)
            for name, logits in predict(config, kind, variables, study, "validation").items()
        ]
        return jnp.concatenate(losses)

    every = config.classifier.validate_every
    return replicas.keep_best(make_ensemble(config, kind), validation_loss, refresh_every=every)


def predict(config: Config, kind: str, variables: Any, study: Study, part: str) -> dict[str, jax.Array]:
    """Logits (classifiers, images, classes) of the classifiers of each set on one of its parts."""
    each, model = len(modes(config)) * config.num_runs, make_model(config, kind)
    outputs = {}
    for number, (name, one) in enumerate(study.sets.items()):
        own = jax.tree.map(lambda leaf, n=number: leaf[n * each : (n + 1) * each], variables)
        outputs[name] = replicas.predict(model, own, getattr(one, part).images)
    return outputs
