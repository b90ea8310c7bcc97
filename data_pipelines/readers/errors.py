"""The one error that every reader raises."""

from os import PathLike
from pathlib import Path


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
