"""Training steps in PyTorch: loss, gradients and a fused Adam, in every setting that may be fastest."""

import copy
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from benchmarks.peers import parity, torch_networks
from benchmarks.peers.work import Probe, Run

_MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronized(run: Run) -> Run:
    """Waits until the device is done."""
    if device().type == "cpu":
        return run

    def wait() -> None:
        run()
        torch.cuda.synchronize()

    return wait


def to_device(array: Any) -> torch.Tensor:
    """NumPy, channels last, to a tensor, channels first."""
    return torch.from_numpy(parity.channels_first(array)).to(device())


class TrainingStep:
    """One step of a network with one output channel: binary cross-entropy, gradients, Adam.

    On a CPU in float32; on a GPU in mixed precision (bfloat16) with everything else equal.
    """

    items: int

    def __init__(self, network: torch.nn.Module, shape: tuple[int, ...], dtype: str, probe: tuple[int, ...]):
        """Keeps the network, whose weights are those of its constructor, and draws a batch.

        Args:
            network: from (batch, 1, *spatial) to the same.
            shape: (batch, *spatial, 1) of a batch.
            dtype: "float32", or "bfloat16" for mixed precision.
            probe: shape of the batch on which outputs and gradients are compared.
        """
        self._network, self._dtype, self.items = network.to(device()), getattr(torch, dtype), shape[0]
        self._batch = [to_device(array) for array in parity.draw_batch(shape)]
        self._probe_shape = probe
        # On GPUs channels last is the faster one throughout, and compiling takes most of a short lease.
        layouts = ("last",) if device().type == "cuda" else ("first", "last")
        self.settings = tuple(
            f"{mode}, channels {layout}, {dtype}" for mode in ("eager", "compiled") for layout in layouts
        )

    def _loss(self, network: Callable, compiled: bool) -> Callable[..., torch.Tensor]:
        def loss(image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device().type, self._dtype, enabled=self._dtype != torch.float32):
                logits = network(image)
            return functional.binary_cross_entropy_with_logits(logits.float(), label)

        return torch.compile(loss) if compiled else loss

    def _make(self, setting: str) -> tuple[torch.nn.Module, Callable, list[torch.Tensor]]:
        last, compiled = "channels last" in setting, setting.startswith("compiled")
        layout = _MEMORY_FORMATS[self._batch[0].ndim] if last else torch.contiguous_format
        network = copy.deepcopy(self._network).to(memory_format=layout).train()
        batch = [tensor.contiguous(memory_format=layout) for tensor in self._batch]
        return network, self._loss(network, compiled), batch

    def prepare(self, setting: str) -> Run:
        """The whole step."""
        network, loss, batch = self._make(setting)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            loss(*batch).backward()
            optimizer.step()

        return synchronized(step)

    def parts(self, setting: str) -> Mapping[str, Run]:
        """The loss alone, and the loss with its gradients."""
        network, loss, batch = self._make(setting)

        def gradients() -> None:
            network.zero_grad(set_to_none=True)
            loss(*batch).backward()

        return {
            "forward": synchronized(lambda: loss(*batch)),
            "forward and gradient": synchronized(gradients),
        }

    def probe(self) -> Probe:
        """Weights, batch, outputs, loss and gradients, channels last, in float32."""
        network = copy.deepcopy(self._network).train()
        image, label = parity.draw_batch(self._probe_shape)
        torch.backends.cudnn.allow_tf32 = False
        logits = network(to_device(image))
        loss = functional.binary_cross_entropy_with_logits(logits, to_device(label))
        loss.backward()
        found = {"image": image, "label": label, "loss": loss, "outputs": logits.movedim(1, -1)}
        for name, parameter in network.named_parameters():
            found |= {parity.WEIGHT + name: parameter, parity.GRADIENT + name: parameter.grad}
        return {
            name: value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
            for name, value in found.items()
        }

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"torch": torch.__version__}


def unet(
    shape: tuple[int, ...],
    widths: tuple[int, ...],
    norm: str,
    plan: str,
    dtype: str,
    probe: tuple[int, ...],
) -> TrainingStep:
    """A step of the U-Net."""
    torch.manual_seed(0)
    return TrainingStep(torch_networks.UNet(len(shape) - 2, widths, norm, plan), shape, dtype, probe)


class MonaiUNetStep(TrainingStep):
    """A step of MONAI's own `UNet`."""

    def __init__(self, shape: tuple[int, ...], widths: tuple[int, ...], dtype: str, probe: tuple[int, ...]):
        from monai.networks import nets

        torch.manual_seed(0)
        network = nets.UNet(
            spatial_dims=len(shape) - 2,
            in_channels=1,
            out_channels=1,
            channels=widths,
            strides=(2,) * (len(widths) - 1),
            num_res_units=2,
        )
        super().__init__(network, shape, dtype, probe)

    def describe(self) -> Mapping[str, str]:
        """Versions."""
        return {"torch": torch.__version__, "monai": importlib.metadata.version("monai")}
