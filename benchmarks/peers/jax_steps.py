"""jaxmed's training steps: those that `fit` runs, guard and donation included."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers import parity
from benchmarks.peers.work import Probe, Run
from jaxmed.algorithms.supervised import supervised
from jaxmed.losses import cross_entropy
from jaxmed.models.monai_unet import MonaiUNet
from jaxmed.models.unet import UNet
from jaxmed.train import fit, net
from jaxmed.train import mesh as meshes


class TrainingStep:
    """One step of a network with one output channel: binary cross-entropy, gradients, Adam."""

    items: int

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        dtype: str,
        probe: tuple[int, ...],
        name_of: Callable[[parity.Path], str] = parity.same_name,
    ):
        """Keeps the network.

        Args:
            network: called as `network(images, train=...)`, in the dtype of the comparison.
            shape: (batch, *spatial, 1) of a batch.
            dtype: name of the setting: the dtype of convolutions and activations.
            probe: unused; the batch of the comparison comes with the probe.
            name_of: see `parity.to_flax`.
        """
        self._network, self._shape, self._name_of = network, shape, name_of
        self.items, self.settings = shape[0], (f"jit, {dtype}",)
        self._mesh = meshes.make_mesh(devices=jax.local_devices()[:1])

    def prepare(self, setting: str) -> Run:
        """The whole step, on a batch that lies on the device."""
        algorithm = supervised(
            self._network,
            optax.adam(1e-3),
            prepare=lambda batch, key: (batch["image"], batch["label"]),
            loss=cross_entropy.binary_cross_entropy,
        )
        image, label = parity.draw_batch(self._shape)
        batch = meshes.put_batch({"image": image, "label": label}, self._mesh)
        key = meshes.replicate(jax.random.key(0, impl="rbg"), self._mesh)
        state = jax.jit(algorithm.init, out_shardings=meshes.replicated(self._mesh))(key, batch)
        step = fit.compile_step(algorithm, self._mesh)

        def run() -> None:
            nonlocal state
            state, metrics = step(state, batch, key)
            jax.block_until_ready((state, metrics))

        return run

    def parts(self, setting: str) -> Mapping[str, Run]:
        """The loss alone, and the loss with its gradients."""
        image, label = (jnp.asarray(array) for array in parity.draw_batch(self._shape))
        key = jax.random.key(0, impl="rbg")
        variables = jax.jit(lambda: self._network.init(key, image, train=False))()
        params, batch_stats = variables["params"], variables.get("batch_stats", {})

        def value(params):
            return _loss(params, self._network, batch_stats, image, label)[0]

        loss, gradient = jax.jit(value), jax.jit(jax.value_and_grad(value))
        return {
            "forward": lambda: jax.block_until_ready(loss(params)),
            "forward and gradient": lambda: jax.block_until_ready(gradient(params)),
        }

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Outputs, loss and gradients in float32, with the peer's weights and batch."""
        network = self._network.clone(dtype=jnp.float32)
        image, label = (jnp.asarray(probe[name]) for name in ("image", "label"))
        shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), image, train=False))
        params = parity.to_flax(shapes["params"], probe, self._name_of)
        batch_stats = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.get("batch_stats", {})
        )
        measure = jax.jit(jax.value_and_grad(_loss, has_aux=True), static_argnums=1)
        with jax.default_matmul_precision("highest"):
            (loss, outputs), gradients = measure(params, network, batch_stats, image, label)
        wanted = parity.to_flax(shapes["params"], probe, self._name_of, parity.GRADIENT)
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        return {
            "parameters": float(abs(count - parity.num_parameters(probe))),
            "outputs": parity.relative_error(np.asarray(outputs), probe["outputs"]),
            "loss": parity.relative_error(np.asarray(loss), probe["loss"]),
            "gradients": parity.worst_leaf(gradients, wanted),
        }

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}


def _loss(
    params: Any, network: nn.Module, batch_stats: Any, image: jax.Array, label: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Mean over the batch, and the logits."""
    outputs, _ = net.apply_train(network, params, batch_stats, image)
    return cross_entropy.binary_cross_entropy(outputs, label).mean(), outputs


def unet(
    shape: tuple[int, ...],
    widths: tuple[int, ...],
    norm: str,
    plan: str,
    dtype: str,
    probe: tuple[int, ...],
) -> TrainingStep:
    """A step of `UNet`, "classic" or by the "nnunet" plan."""
    options: dict[str, Any] = {"use_bias": False}
    if plan == "nnunet":
        options = {"downsampling": "strided_conv", "activation": nn.leaky_relu}
    network = UNet(widths, norm=norm, dtype=jnp.dtype(dtype), **options)
    return TrainingStep(network, shape, dtype, probe)


def monai_unet(
    shape: tuple[int, ...], widths: tuple[int, ...], dtype: str, probe: tuple[int, ...]
) -> TrainingStep:
    """A step of `MonaiUNet`."""
    network = MonaiUNet(widths, (2,) * (len(widths) - 1), dtype=jnp.dtype(dtype))
    name_of = functools.partial(monai_name, bottom=len(widths) - 1)
    return TrainingStep(network, shape, dtype, probe, name_of)


def monai_name(path: parity.Path, bottom: int) -> str:
    """What MONAI's `UNet` calls a parameter of `MonaiUNet`: its levels lie within each other."""
    side, level = path[0].rsplit("_", 1)
    prefix = "model." + "1.submodule." * int(level)
    unit, modules = "", list(path[1:-1])
    if side == "up" and modules[0] == "unit":
        unit, modules = "2.1.", modules[1:]
    elif side == "up":
        return prefix + {"upsample": "2.0.conv", "activation": "2.0.adn.A"}[modules[0]] + _last(path)
    elif int(level) != bottom:
        unit = "0."
    kind, _, index = modules[0].partition("_")
    inner = {"conv": f"conv.unit{index}.conv", "activation": f"conv.unit{index}.adn.A"}
    return prefix + unit + inner.get(kind, "residual") + _last(path)


def _last(path: parity.Path) -> str:
    return ".bias" if path[-1] == "bias" else ".weight"
