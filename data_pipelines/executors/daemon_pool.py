"""Threads that never keep a process alive: a call that hangs in one is left behind when the process ends."""

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

_EXIT_SECONDS = 3.0
"""How long a process that ends waits, in all, for calls that have begun."""

_Result = TypeVar("_Result")
_OPEN: weakref.WeakSet["DaemonPool"] = weakref.WeakSet()
_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class PoolClosedError(RuntimeError):
    """The pool was closed before the call came back."""


class DaemonPool:
    """A fixed number of daemon threads that carry out calls in the order of their submission.

    `concurrent.futures` joins its threads when the interpreter exits, so that one read that hangs on a lost
    network disk would hold up a process that has already failed. Here a process that exits waits for calls
    that have begun, lest they be cut off in the middle of a library, but not for long.

    Args:
        num_threads: how many.
        name: prefix of the threads' names.
    """

    def __init__(self, num_threads: int, name: str):
        self._tasks: SimpleQueue[tuple[Future, Callable[..., Any], tuple] | None] = SimpleQueue()
        # Closing may happen in a garbage collection within a locked section.
        self._lock = threading.RLock()
        self._running: set[Future] = set()
        self._closed = False
        self._num_threads = num_threads
        _OPEN.add(self)
        for number in range(num_threads):
            thread = threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True)
            _THREADS.add(thread)
            thread.start()

    def submit(self, function: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
        """Queues a call.

        Raises:
            PoolClosedError: the pool is closed.
        """
        future: Future[_Result] = Future()
        with self._lock:
            if self._closed:
                raise PoolClosedError
            self._tasks.put((future, function, arguments))
        return future

    def close(self) -> None:
        """Cancels calls that have not begun; those that have are no longer waited for. Then threads end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            while (task := self._next_task()) is not None:
                _cancel(task[0])
            for future in self._running:
                future.set_exception(PoolClosedError())
            self._running.clear()
        for _ in range(self._num_threads):
            self._tasks.put(None)

    def _next_task(self) -> tuple[Future, Callable[..., Any], tuple] | None:
        try:
            return self._tasks.get_nowait()
        except Empty:
            return None

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._carry_out(*task)
            # What the last call used is not kept alive while waiting for the next.
            del task

    def _carry_out(self, future: Future, function: Callable[..., Any], arguments: tuple) -> None:
        with self._lock:
            if self._closed:
                _cancel(future)
                return
            if not future.set_running_or_notify_cancel():
                return
            self._running.add(future)
        try:
            result, error = function(*arguments), None
        except BaseException as raised:
            result, error = None, raised
        with self._lock:
            self._running.discard(future)
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


def _cancel(future: Future) -> None:
    future.cancel()
    # Whoever waits for several futures at once hears of it only so.
    future.set_running_or_notify_cancel()


def _end() -> None:
    for pool in list(_OPEN):
        pool.close()
    deadline = time.monotonic() + _EXIT_SECONDS
    for thread in list(_THREADS):
        thread.join(max(0.0, deadline - time.monotonic()))


atexit.register(_end)
