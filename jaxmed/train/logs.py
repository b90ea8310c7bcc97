"""Files that a run writes line by line: its metrics and its events."""

import csv
import datetime
import json
from pathlib import Path
from typing import Any

import jax

from jaxmed.train.observers import read_metrics


class MetricLog:
    """Writes metrics.jsonl and metrics.csv into a run's folder.

    A run that resumes from an earlier step than the files reach drops the lines after that step, so that
    each step stands there once.
    """

    def __init__(self, directory: Path, *, first_step: int = 0, every: int = 10):
        """Opens the log.

        Args:
            directory: the run's folder.
            first_step: the step from which this run goes on.
            every: steps between lines.
        """
        self._jsonl, self._csv, self._every = directory / "metrics.jsonl", directory / "metrics.csv", every
        kept = []
        if self._jsonl.exists():
            lines = (_parse(line) for line in self._jsonl.read_text().splitlines())
            kept = [line for line in lines if line is not None and line["step"] <= first_step]
        rewritten = self._jsonl.with_name(f".{self._jsonl.name}")
        rewritten.write_text("".join(json.dumps(line) + "\n" for line in kept))
        rewritten.replace(self._jsonl)
        self._csv.unlink(missing_ok=True)
        for line in kept:
            self._append_csv(line)

    def __call__(self, step: int, state: Any, metrics: dict[str, jax.Array]) -> None:
        """Writes the step's metrics when it is due."""
        if step % self._every:
            return
        line: dict[str, float | int] = {"step": step, **read_metrics(metrics)}
        with self._jsonl.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._append_csv(line)

    def _append_csv(self, line: dict[str, float | int]) -> None:
        is_new = not self._csv.exists()
        with self._csv.open("a", newline="") as file:
            writer = csv.DictWriter(file, line.keys())
            if is_new:
                writer.writeheader()
            writer.writerow(line)


class Journal:
    """Notes the events of a run, such as its starts and stops, in events.jsonl of its folder."""

    def __init__(self, directory: Path):
        """Goes on with the file, if it is there."""
        self._file = directory / "events.jsonl"
        if self._file.exists() and not self._file.read_bytes().endswith(b"\n"):
            self._append("\n")  # after the half-written line of a killed run

    def note(self, event: str, step: int, **details: Any) -> None:
        """Appends a line with the time, the event, its step and details."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._append(json.dumps({"time": now, "event": event, "step": step, **details}) + "\n")

    def _append(self, text: str) -> None:
        with self._file.open("a") as file:
            file.write(text)

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
