"""Classifiers of every set, mode and run, trained side by side; the best by validation are kept."""

import flax.linen as nn
import jax
import optax

from data_pipelines.image_study import ImageStudy
from experiments.rhvae.config import Config
from experiments.rhvae.data import num_classes, num_classifiers
from jaxmed.algorithms import replica_groups, replicas
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


def make_kept(config: Config, kind: str, study: ImageStudy) -> Algorithm:
    """The ensemble, with a look at the validation images in every refresh."""
    images = {name: one.validation.images for name, one in study.sets.items()}
    labels = {name: one.validation.labels for name, one in study.sets.items()}

    def validation_loss(variables):
        return replica_groups.mean_losses(make_model(config, kind), _cross_entropy, variables, images, labels)

    every = config.classifier.validate_every
    return replicas.keep_best(make_ensemble(config, kind), validation_loss, refresh_every=every)
