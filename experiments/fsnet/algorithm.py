"""Which networks the methods train, on which data sets, with which loss."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from data_pipelines.imaging_sets import SETS, SetName
from experiments.contract import Data
from experiments.fsnet.config import Config
from jaxmed.algorithms.supervised import SupervisedState
from jaxmed.losses.joint_classes import Loss, joint_loss
from jaxmed.models.attention import ChannelAttention
from jaxmed.models.fsnet import FSNet
from jaxmed.models.unet import UNet
from jaxmed.train import net
from jaxmed.train.fit import Algorithm
from jaxmed.train.mesh import Volumes


def trained_sets(config: Config) -> tuple[SetName, ...]:
    """The data sets of the method's last training: all of them, or the target alone."""
    alone = config.method in ("unet", "pretraining")
    return config.chosen.sets[:1] if alone else config.chosen.sets


def first_labels(names: Sequence[SetName]) -> list[int]:
    """Re-encodes labels: the joint label of each set's class 1; class 0, the background, is shared."""
    counts = [len(SETS[name].classes) for name in names]
    return [1 + sum(counts[:number]) for number in range(len(names))]


def channel_code(config: Config, names: Sequence[SetName]) -> tuple[tuple[int, int], ...]:
    """Channels of zeros before and behind the images of each data set.

    With channel coding every data set has channels of its own. Joint training and pre-training, whose
    networks see images of all sets, fill up to as many channels as the set with the most has.
    """
    counts = [len(SETS[name].sequences) for name in names]
    if config.method in ("fsnet", "no_module", "no_weights"):
        return tuple((sum(counts[:number]), sum(counts[number + 1 :])) for number in range(len(counts)))
    if config.method in ("joint", "pretraining"):
        most = max(len(SETS[name].sequences) for name in config.chosen.sets)
        return tuple((0, most - count) for count in counts)
    return ((0, 0),) * len(counts)


def loss_weights(config: Config, names: Sequence[SetName]) -> tuple[float, ...]:
    """Of each data set in equation 1; 1 in sum."""
    if len(names) == 1 or config.method not in ("fsnet", "no_coding", "no_module"):
        return (1 / len(names),) * len(names)
    other = (1 - config.main_weight) / (len(names) - 1)
    return (config.main_weight, *(other,) * (len(names) - 1))


def make_model(config: Config, names: Sequence[SetName]) -> FSNet:
    """The network for some data sets; its U-Net has 1,255,331 parameters for one channel and three classes.

    That count is of `norm` "none"; before a normalisation convolutions have no bias.
    """
    unet = UNet(
        widths=config.widths,
        out_channels=1 + sum(len(SETS[name].classes) for name in names),
        norm=config.norm,
        num_convs=(2, 1),
        use_bias=config.norm == "none",
        strides=tuple((step, 2, 2) for step in config.chosen.depth_strides),
        dtype=jnp.dtype(config.dtype),
    )
    has_module = config.method in ("fsnet", "no_coding", "no_weights")
    return FSNet(
        zeros=channel_code(config, names),
        network=unet,
        module_channels=config.module_channels if has_module else 0,
        attention=ChannelAttention(toward=config.attention, learned_scale=config.attention_scale),
    )


def make_algorithm(config: Config, data: Data | None) -> Algorithm:
    """The method's last training."""
    return make_training(config, trained_sets(config))


def make_training(config: Config, names: tuple[SetName, ...]) -> Algorithm:
    """Training of one network on some data sets at once, with Adam."""
    model: Any = make_model(config, names)
    weights, chosen = loss_weights(config, names), config.chosen
    return _make_training(model, names, weights, chosen.loss, chosen.learning_rate)


@functools.lru_cache(maxsize=16)
def _make_training(
    model: FSNet, names: tuple[SetName, ...], weights: tuple[float, ...], loss: Loss, learning_rate: float
) -> Algorithm:
    """The same training gives the same algorithm, which is then compiled once for all seeds."""
    optimizer = optax.adam(learning_rate)

    def images_of(batch):
        return tuple(batch[f"image_{name}"].astype(jnp.float32) for name in names)

    def init(key, batch):
        shapes = jax.eval_shape(images_of, batch)
        inputs = tuple(jnp.zeros(shape.shape, shape.dtype) for shape in shapes)
        return SupervisedState(jnp.zeros((), jnp.int32), net.init_net(model, optimizer, key, inputs))

    def batch_loss(params, batch_stats, batch):
        logits, batch_stats = net.apply_train(model, params, batch_stats, images_of(batch))
        losses = {
            name: joint_loss(
                logits[:, number], batch[f"label_{name}"], first, len(SETS[name].classes), loss
            ).mean()
            for number, (name, first) in enumerate(zip(names, first_labels(names), strict=True))
        }
        total = sum(weight * losses[name] for weight, name in zip(weights, names, strict=True))
        return total, (batch_stats, losses)

    def step(state, batch, key):
        new_net, value, losses = net.update_net(state.net, optimizer, batch_loss, batch)
        metrics = {"loss": value, **{f"loss {name}": one for name, one in losses.items()}}
        return SupervisedState(state.step + 1, new_net), metrics

    volumes = Volumes(tuple(f"{kind}_{name}" for name in names for kind in ("image", "label")))
    return Algorithm(init, step, volumes=volumes)
