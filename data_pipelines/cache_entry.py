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

_NO_NUMBERS = "OV"
"""Kinds of arrays that hold references to Python objects, or bytes without a meaning."""

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
        ValueError: there is no array, one has no file-safe name, or one holds objects or records.
    """
    if not arrays:
        raise ValueError("found no arrays; wanted at least one")
    temporary = _sibling(entry)
    temporary.mkdir()
    try:
        files = {name: _write_array(temporary / f"{check_name(name)}.npy", a) for name, a in arrays.items()}
        content = {"key": key, "files": files}
        manifest = {**content, "sha256": _digest(content)}
        (temporary / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        _publish(temporary, entry, key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check(entry: Path, key: Any, verify: Verify) -> int:
    """Checks an entry: its manifest, its key, the sizes of its files, and their digests where asked.

    Args:
        entry: folder of the entry.
        key: JSON value that the entry must have been built for.
        verify: "sha256" to read every byte, "size" to trust files of the right size.

    Returns:
        The number of arrays.

    Raises:
        EntryError: something is missing or differs.
    """
    files = _read_files(entry, key)
    for name, described in files.items():
        path = entry / f"{name}.npy"
        try:
            size = path.stat().st_size
            digest = _digest_file(path) if verify == "sha256" else described["sha256"]
        except OSError as error:
            raise EntryError(f"{path.name} cannot be read ({error.strerror})") from error
        if size != described["size"]:
            raise EntryError(f"{path.name} has {size} bytes; wanted {described['size']}")
        if digest != described["sha256"]:
            raise EntryError(f"{path.name} has another sha256 than when it was written")
    return len(files)


def read(entry: Path, key: Any) -> dict[str, np.ndarray]:
    """Maps the arrays of an entry into memory, read-only; what is not touched is not read.

    Args:
        entry: folder of the entry.
        key: JSON value that the entry must have been built for.

    Returns:
        The arrays by name.

    Raises:
        EntryError: the manifest is missing, broken or of another key.
        OSError: a file has gone since the entry was checked.
    """
    return {name: _map(entry / f"{name}.npy", about) for name, about in _read_files(entry, key).items()}


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


def _read_files(entry: Path, key: Any) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads((entry / _MANIFEST).read_bytes())
        content = {"key": manifest["key"], "files": manifest["files"]}
        intact = manifest["sha256"] == _digest(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EntryError(f"{_MANIFEST} is missing or broken ({type(error).__name__})") from error
    if not intact:
        raise EntryError(f"{_MANIFEST} has another sha256 than when it was written")
    if content["key"] != key:
        raise EntryError(f"{_MANIFEST} is of another key")
    return content["files"]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_array(path: Path, array: np.ndarray) -> dict[str, Any]:
    array = np.asarray(array, order="C")
    if array.dtype.kind in _NO_NUMBERS:
        raise ValueError(f"{path.name} has dtype {array.dtype}; wanted numbers, bool or text")
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    size = path.stat().st_size
    described = {"size": size, "offset": size - array.nbytes, "shape": array.shape, "dtype": array.dtype.str}
    return {**described, "sha256": _digest_file(path)}


def _map(path: Path, described: Mapping[str, Any]) -> np.ndarray:
    # np.load parses the header by `ast`, which in threads of Python 3.11 fails at random with a SystemError.
    shape, offset, dtype = tuple(described["shape"]), described["offset"], np.dtype(described["dtype"])
    if dtype.kind in _NO_NUMBERS:
        raise EntryError(f"{path.name} is said to hold {dtype}; wanted numbers, bool or text")
    mapped = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)
    # A view of the base class: every slice of a memmap costs a Python call of its own.
    return np.asarray(mapped)


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
