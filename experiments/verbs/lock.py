"""One run at a time in a folder."""

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from experiments.verbs.errors import UserError


@contextlib.contextmanager
def hold(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock of a run's folder while the `with` block runs.

    It ends with the process, however that ends. The lock is the file `.<name>.lock` beside the folder, so
    that the folder can be renamed under it.

    Args:
        folder: need not exist yet.
        wait: until another process gives it back, instead of the error.

    Raises:
        UserError: if another process holds it, or nothing can be written where the folder is to be.
    """
    with _open_lock(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise UserError(f"{folder} is in use by {file.read().strip() or 'another process'}") from None
        except OSError as error:
            # Some network file systems have no locks; training without one beats not training.
            print(f"warning: no lock on {folder}: {error}", file=sys.stderr)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _open_lock(folder: Path) -> TextIO:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder.with_name(f".{folder.name}.lock").open("a+")
    except OSError as error:
        raise UserError(
            f"{folder} cannot be made: {error.filename}: {error.strerror}; wanted a --workdir that can be "
            f"written"
        ) from error
