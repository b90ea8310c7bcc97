"""Progress of long preparations, for people."""

import sys
import time
from collections.abc import Callable


def make_progress(label: str, *, seconds_between_lines: float = 10.0) -> Callable[[int, int], None]:
    """Makes a callback that shows how far a preparation is, and the time left.

    Args:
        label: what is being done.
        seconds_between_lines: pause between lines where standard error is no terminal; on a terminal one
            line is written over again.

    Returns:
        `progress(done, total)`.
    """
    begun = last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        left = (now - begun) / done * (total - done) if done else 0.0
        text = f"{label}: {done}/{total}" + (f", {left:.0f} s left" if done < total else "")
        if sys.stderr.isatty():
            print(f"\r{text:<60}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif done == total or now - last >= seconds_between_lines:
            last = now
            print(text, file=sys.stderr, flush=True)

    return progress
