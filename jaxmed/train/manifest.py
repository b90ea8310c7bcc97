"""Manifests: what the folder of a checkpoint must hold, so that damage is found before it is read.

A manifest is a JSON file in the folder. It lists every other file with its size and SHA-256, the leaves of
the state, and the identity of the run, and carries a hash of itself.
"""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from jaxmed.train.checkpoint_errors import DamagedError

FILE = "manifest.json"

_FORMAT = 1
_MAX_BYTES = 2**26
_BLOCK_BYTES = 2**22
_HASH_THREADS = 4
_PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What is known of one checkpoint.

    Attributes:
        step: number of training steps that led to it.
        identity: what tells its run from others, as JSON.
        identity_sha256: hash of the identity.
        leaves: `{name: {"shape": [...], "dtype": ...}}` of the arrays of the state.
        files: `{path in the folder: {"bytes": ..., "sha256": ...}}`.
        versions: of Python and the packages that wrote it.
        num_processes: number of processes that wrote it.
        num_devices: number of devices of these.
        date: when, UTC.
        format: version of this form.
    """

    step: int
    identity: dict[str, Any]
    identity_sha256: str
    leaves: dict[str, dict[str, Any]]
    files: dict[str, dict[str, Any]]
    versions: dict[str, str]
    num_processes: int
    num_devices: int
    date: str
    format: int = _FORMAT


def describe(step: int, identity: dict[str, Any], leaves: dict[str, dict[str, Any]]) -> Manifest:
    """The manifest of a state in this process, as yet without files."""
    versions = {package: importlib.metadata.version(package) for package in _PACKAGES}
    return Manifest(
        step=step,
        identity=identity,
        identity_sha256=_hash_json(identity),
        leaves=leaves,
        files={},
        versions={"python": platform.python_version(), **versions},
        num_processes=jax.process_count(),
        num_devices=jax.device_count(),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def write(folder: Path, manifest: Manifest) -> Manifest:
    """Flushes and hashes the files of a finished checkpoint and writes its manifest, whole or not at all.

    Args:
        folder: the checkpoint's folder.
        manifest: what `describe` gave.

    Returns:
        The manifest with its files, as it was written.

    Raises:
        OSError: if the disk is full or fails.
    """
    sizes = list_files(folder)
    digests = _hash_files(folder, sizes)
    files = {name: {"bytes": sizes[name], "sha256": digests[name]} for name in sizes}
    manifest = dataclasses.replace(manifest, files=files)
    body = dataclasses.asdict(manifest)
    text = json.dumps({"manifest": body, "sha256": _hash_json(body)}, indent=1)
    # The manifest vouches for the files: they must not be lost in a power cut that it survives.
    _flush(folder, sizes)
    temporary = folder / f".{FILE}"
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)
    _flush(folder, ())
    return manifest


def verify(folder: Path, step: int) -> Manifest:
    """Checks every file of a checkpoint against its manifest.

    Only files that stand in the folder itself are opened, whatever the manifest lists; links are refused.

    Args:
        folder: the checkpoint's folder.
        step: the step that the folder's name promises.

    Returns:
        The manifest.

    Raises:
        DamagedError: naming the first file that is missing, unlisted or changed.
    """
    try:
        sizes = list_files(folder)
        manifest = _read(folder, sizes.pop(FILE, None))
        if manifest.step != step:
            raise DamagedError(f"{FILE} is of step {manifest.step}")
        _compare(sizes, manifest.files)
        digests = _hash_files(folder, sizes)
    except OSError as error:
        raise DamagedError(f"cannot be read: {error.strerror or error}") from error
    for name, digest in digests.items():
        if digest != manifest.files[name]["sha256"]:
            raise DamagedError(f"{name} has changed since it was written")
    return manifest


def list_files(folder: Path) -> dict[str, int]:
    """Sizes in bytes of the files in a folder and its sub-folders, by relative path.

    Raises:
        DamagedError: if the folder, or anything in it, is a link or a special file.
        OSError: if it cannot be read.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise DamagedError("is not a folder")
    sizes, pending = {}, [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                name = Path(entry.path).relative_to(folder).as_posix()
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    sizes[name] = entry.stat(follow_symlinks=False).st_size
                else:
                    raise DamagedError(f"{name} is neither a file nor a folder")
    return dict(sorted(sizes.items()))


def _read(folder: Path, size: int | None) -> Manifest:
    if size is None:
        raise DamagedError(f"{FILE} is missing, as after an unfinished save")
    if size > _MAX_BYTES:
        raise DamagedError(f"{FILE} has {size:,} bytes, more than {_MAX_BYTES:,}")
    try:
        content = json.loads((folder / FILE).read_bytes())
        body = content["manifest"]
        if content["sha256"] != _hash_json(body):
            raise DamagedError(f"{FILE} has changed since it was written")
        manifest = Manifest(**body)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedError(f"{FILE} is not a manifest") from error
    if not _is_well_formed(manifest):
        raise DamagedError(f"{FILE} is not a manifest of format {_FORMAT}")
    return manifest


def _is_well_formed(manifest: Manifest) -> bool:
    """Tells whether a manifest, which could come from anyone, holds what its types promise."""
    leaves, files = manifest.leaves, manifest.files
    return (
        manifest.format == _FORMAT
        and type(manifest.step) is int
        and isinstance(manifest.identity, dict)
        and manifest.identity_sha256 == _hash_json(manifest.identity)
        and isinstance(leaves, dict)
        and all(isinstance(leaf, dict) and leaf.keys() == {"shape", "dtype"} for leaf in leaves.values())
        and all(isinstance(leaf["dtype"], str) and _is_shape(leaf["shape"]) for leaf in leaves.values())
        and isinstance(files, dict)
        and all(isinstance(file, dict) and file.keys() == {"bytes", "sha256"} for file in files.values())
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _compare(sizes: dict[str, int], listed: dict[str, dict[str, Any]]) -> None:
    for name in sorted(listed.keys() | sizes.keys()):
        if name not in sizes:
            raise DamagedError(f"{name} is missing")
        if name not in listed:
            raise DamagedError(f"{name} is not listed in {FILE}")
        if sizes[name] != listed[name]["bytes"]:
            raise DamagedError(f"{name} has {sizes[name]} bytes, not {listed[name]['bytes']}")


def _hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    names = list(names)
    with ThreadPoolExecutor(_HASH_THREADS) as threads:
        return dict(zip(names, threads.map(_hash_file, (folder / name for name in names)), strict=True))


def _hash_file(path: Path) -> str:
    digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            digest.update(block[:size])
    return digest.hexdigest()


def _flush(folder: Path, names: Iterable[str]) -> None:
    paths = [folder / name for name in names]
    for path in (*paths, *sorted({path.parent for path in paths}), folder, folder.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
