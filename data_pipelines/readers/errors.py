"""The one error that every reader raises, and which errors mean that a file cannot be read."""

import errno
from os import PathLike
from pathlib import Path

_FAULTS_OF_A_FILE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EIO,
)


class ReadError(ValueError):
    """A file that cannot be read as asked: "<file>: found ...; wanted ..." in one line.

    Attributes:
        file: the file at fault.
        found: what it holds, free of patient data.
        wanted: what the reader accepts.
    """

    def __init__(self, file: str | PathLike[str], found: str, wanted: str) -> None:
        super().__init__(str(file), found, wanted)
        self.file = Path(file)
        self.found = found
        self.wanted = wanted

    def __str__(self) -> str:
        return " ".join(f"{self.file}: found {self.found}; wanted {self.wanted}".split())


def is_unreadable_file(error: BaseException) -> bool:
    """Tells whether an error lies in one file, so that every host and every later run meets it again.

    That is so of a `ReadError`, of an OSError that a decoder raises of its own (it has no errno), and where
    a file is absent, forbidden, of another kind or on a bad sector. A full disk, too many open files or a
    network file system that does not answer are faults of the machine: leaving a case out for them would give
    each host other data.

    Args:
        error: what a loader raised.

    Returns:
        True for a fault of the file.
    """
    if isinstance(error, OSError):
        return error.errno is None or error.errno in _FAULTS_OF_A_FILE
    return isinstance(error, ReadError)
