"""Ending a run in good order when the scheduler, or the user, asks for it."""

import itertools
import signal
import threading
from types import FrameType

import jax
from jax.experimental import multihost_utils

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_questions = itertools.count(1)


class Preemption:
    """Tells the training loop when to stop; for use in a `with` statement around it.

    In one process SIGTERM, and the first SIGINT, are noted, and the loop stops after the step that runs; a
    second signal interrupts at once. With several processes JAX's preemption service listens instead: a
    SIGTERM to any of them makes all of them stop after the same step, a few steps later. Handlers are set
    and restored by the main thread; elsewhere only the service works.
    """

    def __init__(self):
        """Prepares; nothing is listened to before `with`."""
        self._received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Preemption":
        """Starts to listen."""
        # A handler of Python's would take SIGTERM away from JAX's service.
        if not jax.distributed.is_initialized() and threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before = {}

    def __call__(self, step: int) -> bool:
        """Tells whether to stop after `step`; with several processes, to be asked after every step by all."""
        if jax.distributed.is_initialized():
            # The service agrees on a number that is asked about later; those of steps start anew in each run.
            return multihost_utils.reached_preemption_sync_point(next(_questions))
        return self._received is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise KeyboardInterrupt
        self._received = number
