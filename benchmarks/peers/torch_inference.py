"""MONAI's sliding-window inference of a volume, with a network in PyTorch."""

import copy
import functools
import importlib.metadata
from collections.abc import Callable, Mapping

import numpy as np
import torch
from monai import inferers

from benchmarks.peers import parity, torch_networks, torch_steps
from benchmarks.peers.work import Probe, Run

OVERLAP = 0.5
_WINDOWS_AT_ONCE = {"4 windows at once": 4, "1 window at once": 1}


class SlidingWindow:
    """Logits of a whole volume from a U-Net with instance normalisation."""

    items = 1

    def __init__(self, volume: int, window: int, widths: tuple[int, ...]):
        torch.manual_seed(0)
        self._network = torch_networks.UNet(3, widths, "instance").to(torch_steps.device()).eval()
        self._volume, self._window = draw_volume(volume), window
        self.settings = tuple(
            f"{mode}, channels {layout}, {windows}"
            for mode in ("eager", "compiled")
            for layout in ("first", "last")
            for windows in _WINDOWS_AT_ONCE
        )

    def _infer(self, network: Callable, windows_at_once: int, weighting: str) -> Run:
        volume = torch.from_numpy(parity.channels_first(self._volume[None]))
        infer = functools.partial(
            inferers.sliding_window_inference,
            roi_size=(self._window,) * 3,
            sw_batch_size=windows_at_once,
            overlap=OVERLAP,
            mode=weighting,
            sw_device=torch_steps.device(),
            device=torch.device("cpu"),
        )

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return infer(volume, predictor=network)

        return run

    def prepare(self, setting: str) -> Run:
        """The whole volume, blended with Gaussian weights."""
        layout = torch.channels_last_3d if "last" in setting else torch.contiguous_format
        network = copy.deepcopy(self._network).to(memory_format=layout)

        def predict(windows: torch.Tensor) -> torch.Tensor:
            return network(windows.contiguous(memory_format=layout))

        windows_at_once = next(count for name, count in _WINDOWS_AT_ONCE.items() if setting.endswith(name))
        predictor = torch.compile(predict) if "compiled" in setting else predict
        return self._infer(predictor, windows_at_once, "gaussian")

    def parts(self, setting: str) -> Mapping[str, Run]:
        """None."""
        return {}

    def probe(self) -> Probe:
        """Weights and logits, windows counting alike: MONAI bounds its Gaussian weights from below."""
        outputs = self._infer(self._network, 1, "constant")()
        weights = {
            parity.WEIGHT + name: parameter.detach().cpu().numpy()
            for name, parameter in self._network.named_parameters()
        }
        return {**weights, "outputs": outputs[0].movedim(0, -1).numpy()}

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"torch": torch.__version__, "monai": importlib.metadata.version("monai")}


def draw_volume(size: int) -> np.ndarray:
    """Standard normal, (size, size, size, 1), from seed 0."""
    return np.random.default_rng(0).standard_normal((size, size, size, 1), np.float32)
