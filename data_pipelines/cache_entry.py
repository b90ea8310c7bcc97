"""One entry of a cache on disk: a folder of .npy files and a manifest, written whole or not at all."""

import contextlib
import errno
import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

Verify = Literal["sha256", "size"]

_MANIFEST = "manifest.json"


class EntryError(Exception):
    """An entry on disk is not what its manifest or the caller says; the message tells what was found."""


def write(entry: Path, key: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an entry into a temporary sibling folder, manifest last, and renames it into place.

    An intact entry with the same key that another process has put there meanwhile is left alone; anything
    else there is replaced. Nothing is flushed to the device: what a power cut loses, the digests find.

    Args:
        entry: folder to make.
        key: JSON value that the entry was built for.
        arrays: what to write, in C order, one file each.

    Raises:
        ValueError: there is no array, one has no file-safe name, or one would need pickling.
    """
    if not arrays:
        raise ValueError("found no arrays; wanted at least one")
    temporary = _sibling(entry)
    temporary.mkdir()
    try:
        files = {name: _write_array(temporary / f"{check_name(name)}.npy", a) for name, a in arrays.items()}
        (temporary / _MANIFEST).write_text(json.dumps({"key": key, "files": files}, indent=1))
        _publish(temporary, entry, key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check(entry: Path, key: Any, verify: Verify) -> int:
    """Checks an entry against its manifest: key, sizes, shapes, dtypes, and digests where asked.

    Args:
        entry: folder of the entry.
        key: JSON value that the entry must have been built for.
        verify: "sha256" to read every byte, "size" to trust files of the right size.

    Returns:
        The number of arrays.

    Raises:
        EntryError: something is missing or differs.
    """
    try:
        manifest = json.loads((entry / _MANIFEST).read_bytes())
        found_key, files = manifest["key"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EntryError(f"{_MANIFEST} is missing or broken ({type(error).__name__})") from error
    if found_key != key:
        raise EntryError(f"{_MANIFEST} is of another key")
    for name, expected in files.items():
        found = _describe(entry / f"{name}.npy", verify)
        for field, value in found.items():
            if not isinstance(expected, dict) or expected.get(field) != value:
                raise EntryError(f"{name}.npy has another {field} than {_MANIFEST} says")
    return len(files)


def read(entry: Path) -> dict[str, np.ndarray]:
    """Maps the arrays of an entry into memory, read-only; what is not touched is not read."""
    names = json.loads((entry / _MANIFEST).read_bytes())["files"]
    # Views of the base class: every slice of a memmap would cost a Python call of its own.
    return {name: np.asarray(_open_array(entry / f"{name}.npy")) for name in names}


def check_name(name: str) -> str:
    """Returns a name that can be a file's.

    Raises:
        ValueError: it is empty, begins with a dot or contains a slash, a backslash or a zero byte.
    """
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise ValueError(f"name is {name!r}; wanted one without slashes that does not begin with a dot")
    return name


def remove_leftovers(folder: Path, older_than: float) -> None:
    """Removes temporary folders that killed processes left, if last changed before a time in seconds."""
    for path in folder.glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < older_than:
                shutil.rmtree(path, ignore_errors=True)


def _sibling(entry: Path) -> Path:
    return entry.with_name(f".{entry.name}-{uuid.uuid4().hex}")


def _write_array(path: Path, array: np.ndarray) -> dict[str, Any]:
    with path.open("wb") as file:
        np.save(file, np.asarray(array, order="C"), allow_pickle=False)
    return _describe(path, "sha256")


def _describe(path: Path, verify: Verify) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        array = _open_array(path)
        described = {"size": size, "shape": list(array.shape), "dtype": array.dtype.str}
        if verify == "sha256":
            with path.open("rb") as file:
                described["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    # A damaged header makes NumPy's parser raise errors of many kinds.
    except Exception as error:
        raise EntryError(f"{path.name} cannot be read ({type(error).__name__})") from error
    return described


def _open_array(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _publish(temporary: Path, entry: Path, key: Any) -> None:
    while True:
        try:
            temporary.replace(entry)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        with contextlib.suppress(EntryError):
            check(entry, key, "sha256")
            return
        aside = _sibling(entry)
        with contextlib.suppress(FileNotFoundError):
            entry.replace(aside)
        shutil.rmtree(aside, ignore_errors=True)
