"""Classifiers of every set, mode and run, trained side by side; the best by validation are kept."""

import flax.linen as nn
import optax

from data_pipelines.image_study import ImageStudy
from experiments.rhvae.config import Config
from experiments.rhvae.data import num_classes, num_classifiers
from jaxmed.algorithms import replica_groups
from jaxmed.models.densenet import DenseNet
from jaxmed.models.feature_network import FeatureNetwork
from jaxmed.models.perceptron import Perceptron
from jaxmed.train.fit import Algorithm


def kinds(config: Config) -> tuple[str, ...]:
    """The classifiers of the source's table."""
    return ("mlp", "cnn", "densenet") if config.source == "brains" else ("densenet",)


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
    sizes, count = config.classifier, num_classifiers(config)
    optimizer = optax.adamw(sizes.learning_rate, weight_decay=sizes.weight_decay)
    return replica_groups.make_classifiers(make_model(config, kind), optimizer, count)


def make_kept(config: Config, kind: str, study: ImageStudy) -> Algorithm:
    """The ensemble, with a look at the validation images in every refresh."""
    ensemble, model = make_ensemble(config, kind), make_model(config, kind)
    images, labels = study.images("validation"), study.labels("validation")
    every = config.classifier.validate_every
    return replica_groups.keep_best_classifiers(ensemble, model, images, labels, every)
