"""What a side of a comparison provides: a piece of work in one framework, on this machine's device."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

Run = Callable[[], object]
"""Does the work once and returns when it is done, on the device too."""

Probe = Mapping[str, np.ndarray]
"""Inputs, weights and results of the peer, by name."""


class Work(Protocol):
    """A piece of work.

    Attributes:
        items: examples, slices or volumes of one run; times are compared per item.
        settings: names of ways to do it; the fastest one counts.
    """

    items: int
    settings: Sequence[str]

    def prepare(self, setting: str) -> Run:
        """The work in a setting, compiled or not."""
        ...

    def parts(self, setting: str) -> Mapping[str, Run]:
        """Parts of it that both sides can time, to see where time goes; may be empty."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Versions of the software, by name."""
        ...


class Peer(Work, Protocol):
    """The peer's side."""

    def probe(self) -> Probe:
        """What is needed to see whether jaxmed does the same."""
        ...


class Ours(Work, Protocol):
    """jaxmed's side."""

    def agreement(self, probe: Probe) -> Mapping[str, float]:
        """How far jaxmed is from the peer, by quantity: relative errors, or counts that must be equal."""
        ...
