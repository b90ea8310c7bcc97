"""jaxmed's sliding-window inference of a volume."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import parity
from benchmarks.peers.work import Probe, Run
from jaxmed.infer.sliding_window import make_sliding_window
from jaxmed.infer.window_grid import Weighting
from jaxmed.models.unet import UNet

OVERLAP = 0.5
_WINDOWS_AT_ONCE = {"jit, 4 windows at once": 4, "jit, 1 window at once": 1}


class SlidingWindow:
    """Logits of a whole volume from a U-Net with instance normalisation."""

    items = 1
    settings = tuple(_WINDOWS_AT_ONCE)

    def __init__(self, volume: int, window: int, widths: tuple[int, ...]):
        self._network = UNet(widths, norm="instance", use_bias=False)
        self._window = (window,) * 3
        self._volume = np.random.default_rng(0).standard_normal((volume,) * 3 + (1,), np.float32)

    def _infer(self, params: Any, windows_at_once: int, weighting: Weighting) -> Run:
        infer = make_sliding_window(
            lambda variables, windows: self._network.apply(variables, windows, train=False),
            {"params": params},
            self._window,
            windows_at_once,
            overlap=OVERLAP,
            weighting=weighting,
        )
        return lambda: infer(self._volume)

    def _init(self) -> Any:
        image = jnp.zeros((1, *self._window, 1))
        return self._network.init(jax.random.key(0, impl="rbg"), image, train=False)["params"]

    def prepare(self, setting: str) -> Run:
        """The whole volume, blended with Gaussian weights."""
        return self._infer(jax.jit(self._init)(), _WINDOWS_AT_ONCE[setting], "gaussian")

    def parts(self, setting: str) -> Mapping[str, Run]:
        """None."""
        return {}

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """Logits with the peer's weights, windows counting alike."""
        params = parity.to_flax(jax.eval_shape(self._init), probe)
        outputs = self._infer(params, 1, "constant")()
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        return {
            "parameters": float(abs(count - parity.num_parameters(probe))),
            "outputs": parity.relative_error(np.asarray(outputs), probe["outputs"]),
        }

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"jax": jax.__version__}
