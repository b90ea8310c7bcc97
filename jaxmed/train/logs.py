"""Files that a run writes line by line: its metrics and its events."""

import csv
import datetime
import itertools
import json
import logging
from pathlib import Path
from typing import Any

import jax

from jaxmed.train.observers import read_metrics

_logger = logging.getLogger(__name__)

_METRICS = "metrics.jsonl"


def read_log(directory: Path) -> list[dict[str, Any]]:
    """Reads what `MetricLog` has written into a run's folder so far.

    Returns:
        A dict for each line: `step`, `stage` where the run has stages, and the step's metrics by name.
    """
    file = directory / _METRICS
    if not file.exists():
        return []
    lines = map(_parse, file.read_text().splitlines())
    return [line for line in lines if line is not None]


class MetricLog:
    """Writes metrics.jsonl and metrics.csv into a run's folder.

    A run that resumes from an earlier step than the files reach drops the lines after that step, so that
    each step stands there once. Where a run has stages, each line names its own, and the table has the
    columns of all of them. The files are opened at the first step.
    """

    def __init__(self, directory: Path, *, first_step: int = 0, every: int = 10, stage: str = ""):
        """Prepares the log.

        Args:
            directory: the run's folder.
            first_step: the step from which this run, or its stage, goes on.
            every: steps between lines.
            stage: name of the stage; steps of other stages are kept as they are.
        """
        self._jsonl, self._csv, self._every = directory / _METRICS, directory / "metrics.csv", every
        self._head: dict[str, Any] = {"stage": stage} if stage else {}
        self._stage, self._first_step = stage, first_step
        self._columns: list[str] = []
        self._is_open = False

    def _open(self) -> None:
        kept = [
            line
            for line in read_log(self._jsonl.parent)
            if line.get("stage", "") != self._stage or line["step"] <= self._first_step
        ]
        rewritten = self._jsonl.with_name(f".{self._jsonl.name}")
        rewritten.write_text("".join(json.dumps(line) + "\n" for line in kept))
        rewritten.replace(self._jsonl)
        self._rewrite_csv()

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Writes the step's metrics when it is due.

        Raises:
            OSError: if a file cannot be written.
        """
        if not self._is_open:
            self._open()
            self._is_open = True
        if step % self._every:
            return
        line: dict[str, Any] = {**self._head, "step": step, **read_metrics(metrics)}
        with self._jsonl.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if not line.keys() <= set(self._columns):
            self._rewrite_csv()
            return
        with self._csv.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(line)

    def _rewrite_csv(self) -> None:
        lines = read_log(self._jsonl.parent)
        self._columns = list(dict.fromkeys(itertools.chain.from_iterable(lines)))
        if not lines:
            self._csv.unlink(missing_ok=True)
            return
        with self._csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(lines)


class Journal:
    """Notes the events of a run, such as its starts and stops, in events.jsonl of its folder.

    An event that cannot be written is said, tried again with the next one, and does not end the run.
    """

    def __init__(self, directory: Path):
        """Goes on with the file, if it is there."""
        self._file, self._unwritten = directory / "events.jsonl", ""

    def note(self, event: str, step: int, **details: Any) -> None:
        """Appends a line with the time, the event, its step and details."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._unwritten += json.dumps({"time": now, "event": event, "step": step, **details}) + "\n"
        try:
            is_cut = self._file.exists() and not self._file.read_bytes().endswith(b"\n")
            with self._file.open("a") as file:
                # Not onto the half-written line of a killed run.
                file.write("\n" * is_cut + self._unwritten)
            self._unwritten = ""
        except OSError as error:
            _logger.warning("step %d: '%s' is not noted in %s: %s", step, event, self._file, error.strerror)

    def read(self) -> list[dict[str, Any]]:
        """The events so far, of this start of the run and of earlier ones."""
        if not self._file.exists():
            return []
        events = map(_parse, self._file.read_text().splitlines())
        return [event for event in events if event is not None]


def _parse(line: str) -> dict[str, Any] | None:
    """Reads one line of the log; None for the half-written last line of a killed run."""
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) and "step" in parsed else None
