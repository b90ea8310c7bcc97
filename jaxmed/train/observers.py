"""Observers of a run: progress for people, TensorBoard, checkpoints.

Each is called as `observer(step, state, metrics)` after every step. Metrics live on the device; an
observer that looks at them waits for the step, so each looks only every so many steps.
"""

import importlib.util
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jaxmed.train.checkpoint import Checkpoints

_logger = logging.getLogger(__name__)


def read_metrics(metrics: dict[str, jax.Array]) -> dict[str, float]:
    """Fetches the scalars of a step from the device."""
    return {name: float(value) for name, value in jax.device_get(metrics).items()}


def tolerate(observer: Callable[[int, Any, dict[str, jax.Array]], None]) -> Callable:
    """Makes an observer whose failures are said once and do not end the run: for logs, not checkpoints."""
    said: set[str] = set()

    def observe(step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        try:
            observer(step, state, metrics)
        except Exception as error:
            text = f"{type(observer).__name__} failed: {type(error).__name__}: {error}"
            if text not in said:
                said.add(text)
                _logger.warning("step %d: %s; training goes on", step, text)

    return observe


class ProgressBar:
    """A bar with the time left on a terminal; elsewhere a plain line now and then."""

    def __init__(self, label: str, num_steps: int, *, every: int = 10, seconds_between_lines: float = 20.0):
        """Starts at the first step it sees.

        Args:
            label: what is being trained.
            num_steps: the step at which the run ends.
            every: steps between looks at the metrics.
            seconds_between_lines: pause between lines where the output is no terminal.
        """
        self._label, self._num_steps, self._every = label, num_steps, every
        self._pause, self._last_line = seconds_between_lines, time.monotonic()
        self._start: tuple[int, float] | None = None
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Shows the step when it is due."""
        if self._start is None:
            self._start = (step, time.monotonic())
        if step % self._every and step != self._num_steps:
            return
        text = "  ".join(f"{name} {value:.4g}" for name, value in read_metrics(metrics).items())
        if sys.stderr.isatty():
            self._draw(step, text)
        else:
            self._print(step, text)

    def _draw(self, step: int, text: str) -> None:
        bar = self._bar or self._start_bar()
        bar.update(self._task, completed=step, metrics=text)

    def _start_bar(self) -> Progress:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
        )
        self._bar = Progress(*columns, transient=True)
        self._task = self._bar.add_task(self._label, total=self._num_steps, metrics="")
        self._bar.start()
        return self._bar

    def _print(self, step: int, text: str) -> None:
        now = time.monotonic()
        if now - self._last_line < self._pause and step != self._num_steps:
            return
        self._last_line = now
        first, begun = self._start or (step, now)
        rate = (step - first) / max(now - begun, 1e-9)
        left = f"  {(self._num_steps - step) / rate:.0f} s left" if rate and step < self._num_steps else ""
        print(f"{self._label}  step {step}/{self._num_steps}  {text}{left}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Takes the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()


class TensorBoard:
    """Writes scalars for TensorBoard; needs the package tensorboardX."""

    def __init__(self, directory: Path, *, every: int = 10):
        """Opens the event file.

        Raises:
            ModuleNotFoundError: if tensorboardX is not installed.
        """
        if importlib.util.find_spec("tensorboardX") is None:
            raise ModuleNotFoundError(
                "--tensorboard needs the package tensorboardX: pip install tensorboardX"
            )
        from tensorboardX import SummaryWriter

        self._writer, self._every = SummaryWriter(str(directory)), every

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Writes the step's metrics when it is due."""
        if step % self._every == 0:
            for name, value in read_metrics(metrics).items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Finishes the event file."""
        self._writer.close()


class SaveCheckpoints:
    """Saves the state every so many steps and at the last one.

    Where several steps are dispatched together, a save that is due within them happens after the last.
    """

    def __init__(self, checkpoints: Checkpoints, *, every: int, num_steps: int):
        """Saves into `checkpoints` every `every` steps and at `num_steps`."""
        self._checkpoints, self._every, self._num_steps = checkpoints, every, num_steps
        self._is_due = False

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Saves when it is due."""
        self._is_due |= step % self._every == 0 or step == self._num_steps
        if self._is_due and state is not None:
            self._checkpoints.save(step, state)
            self._is_due = False
