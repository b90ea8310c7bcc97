"""Preprocessed arrays on disk, uncompressed and mapped into memory, for crops at the speed of a copy."""

import collections
import functools
import hashlib
import json
import logging
import os
import resource
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from data_pipelines import cache_entry
from data_pipelines.executors.daemon_pool import DaemonPool
from data_pipelines.progress import make_progress
from data_pipelines.readers.errors import is_unreadable_file

_LOG = logging.getLogger(__name__)
_LEFTOVER_SECONDS = 24 * 3600


class BuildError(RuntimeError):
    """An entry could not be built; `__cause__` says why.

    Attributes:
        name: the entry.
        unreadable: whether it is because a file of the case cannot be read.
    """

    def __init__(self, name: str, reason: str, unreadable: bool = False):
        super().__init__(name, reason, unreadable)
        self.name = name
        self.unreadable = unreadable

    def __str__(self) -> str:
        return f"cache entry '{self.name}': {' '.join(self.args[1].split())}"


class Source(Protocol):
    """Cases that can be prepared one by one."""

    @property
    def key(self) -> Mapping[str, Any]:
        """What the prepared arrays depend on, as in `open_cache`."""
        ...

    @property
    def build(self) -> Callable[[str], Mapping[str, np.ndarray]]:
        """Prepares the case of a name."""
        ...


class Cache(Mapping[str, Mapping[str, np.ndarray]]):
    """Read-only arrays by name of the entry and name of the array, mapped into memory when first asked for.

    A mapped file costs a file descriptor: entries used long ago are unmapped before the cache holds more
    than a quarter of those that the process may have, and all of them as soon as nothing refers to the cache
    or its arrays any more. It may be read from several threads.

    Attributes:
        folder: where the entries lie.
        left_out: why a case is not in the cache, by its name.
    """

    def __init__(
        self, folder: Path, key: Any, num_arrays: Mapping[str, int], left_out: Mapping[str, str] | None = None
    ):
        self.folder = folder
        self.left_out: Mapping[str, str] = MappingProxyType(dict(left_out or {}))
        self._names = dict.fromkeys(num_arrays)
        num_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        num_open = max(1, num_files // 4 // max(num_arrays.values(), default=1))
        # Without `self` in it: in a cycle, files would stay open until the garbage collector comes by.
        self._read = functools.lru_cache(maxsize=num_open)(functools.partial(_read_entry, folder, key))

    def __getitem__(self, name: str) -> Mapping[str, np.ndarray]:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


def _read_entry(folder: Path, key: Any, name: str) -> Mapping[str, np.ndarray]:
    return MappingProxyType(cache_entry.read(folder / name, key))


def open_cache(
    directory: str | os.PathLike[str],
    key: Mapping[str, Any],
    names: Sequence[str],
    build: Callable[[str], Mapping[str, np.ndarray]],
    *,
    may_fail: Collection[str] = (),
    max_failures: int = 0,
    verify: cache_entry.Verify = "sha256",
    num_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Cache:
    """Opens a cache of preprocessed cases; checks what is there and builds what is missing or damaged.

    Layout: `<directory>/<first 10 hex digits of the key's sha256>/<name>/<array>.npy` and, beside these,
    `manifest.json` with the key, every file's size, shape, dtype and sha256, and a sha256 of its own. An
    entry is written to a temporary folder and renamed, so readers and other builders never see half of one.
    A damaged entry is logged as a warning and built again. What was built before an error stays.

    Args:
        directory: where caches lie; made if need be.
        key: JSON values that say all that the arrays depend on: source files (see `fingerprint`), the
            preprocessing's numbers and its version. Another key is another cache.
        names: distinct names of the cases.
        build: makes the arrays of a case; called from several threads at once (scipy.ndimage, zlib and most
            of NumPy let other threads run). Keep HU in whole numbers as int16.
        may_fail: names that may be left out if their files cannot be read (`errors.is_unreadable_file`):
            cases of training, never of evaluation. Each is named in a warning; a line at the end lists all.
            The next opening tries them again.
        max_failures: how many of them may.
        verify: "sha256" reads every byte once, "size" trusts files of the right size.
        num_threads: cases checked or built at a time; None for one a usable processor.
        progress: called with (cases done, cases in all) after each case.

    Returns:
        The cache.

    Raises:
        ValueError: the key is not JSON, or a name repeats or cannot be a file name.
        BuildError: a case could not be built or written, and may not be left out, or none is left of those
            that may.
    """
    key, folder_name = _canonical(key)
    folder = Path(directory) / folder_name
    counts = collections.Counter(cache_entry.check_name(name) for name in names)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(f"names has {', '.join(repeated)} more than once; wanted distinct names")
    folder.mkdir(parents=True, exist_ok=True)
    cache_entry.remove_leftovers(folder, time.time() - _LEFTOVER_SECONDS)
    # A build that hangs must not hold up the error of another.
    pool = DaemonPool(num_threads or len(os.sched_getaffinity(0)), "build-cache")
    num_arrays: dict[str, int] = {}
    left_out: dict[str, str] = {}
    try:
        futures = {pool.submit(_make_ready, folder / name, key, build, verify): name for name in names}
        for done, future in enumerate(as_completed(futures), 1):
            try:
                num_arrays[futures[future]] = future.result()
            except BuildError as error:
                _leave_out(error, left_out, may_fail, max_failures)
            if progress:
                progress(done, len(names))
    finally:
        pool.close()
    if left_out:
        _report(left_out, may_fail)
    return Cache(folder, key, {name: num_arrays[name] for name in names if name in num_arrays}, left_out)


def open_source(
    directory: str | os.PathLike[str],
    source: Source,
    names: Sequence[str],
    may_fail: Collection[str],
    max_failures: int,
    *,
    label: str = "preparing volumes",
) -> Cache:
    """Opens a cache of the cases of a source, showing the progress of what has to be prepared.

    Args:
        directory: as in `open_cache`.
        source: prepares the cases.
        names: as in `open_cache`.
        may_fail: as in `open_cache`.
        max_failures: as in `open_cache`.
        label: says what is done.

    Returns:
        The cache.

    Raises:
        ValueError: as in `open_cache`.
        BuildError: as in `open_cache`.
    """
    return open_cache(
        directory,
        source.key,
        names,
        source.build,
        may_fail=may_fail,
        max_failures=max_failures,
        progress=make_progress(label),
    )


def fingerprint(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Digests names (below the deepest common folder), sizes and modification times of files, for a key.

    Args:
        paths: the files, in any order.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: there are no files.
        OSError: a file cannot be looked up.
    """
    files = sorted({Path(os.path.abspath(path)) for path in paths})  # noqa: PTH100, resolve() follows links
    if not files:
        raise ValueError("paths is empty; wanted at least one file")
    root = os.path.commonpath([file.parent for file in files])
    stats = [(file.relative_to(root).as_posix(), file.stat()) for file in files]
    described = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return hashlib.sha256(described.encode()).hexdigest()


def _canonical(key: Mapping[str, Any]) -> tuple[Any, str]:
    try:
        text = json.dumps(key, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"key is not JSON: {error}") from error
    return json.loads(text), hashlib.sha256(text.encode()).hexdigest()[:10]


def _make_ready(
    entry: Path, key: Any, build: Callable[[str], Mapping[str, np.ndarray]], verify: cache_entry.Verify
) -> int:
    if entry.exists():
        try:
            return cache_entry.check(entry, key, verify)
        except cache_entry.EntryError as error:
            _LOG.warning("cache entry %s: %s; building it again", entry, error)
    try:
        arrays = build(entry.name)
    except Exception as error:
        raise BuildError(entry.name, _reason(error), is_unreadable_file(error)) from error
    try:
        cache_entry.write(entry, key, arrays)
    except Exception as error:
        raise BuildError(entry.name, _reason(error)) from error
    return len(arrays)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _leave_out(
    error: BuildError, left_out: dict[str, str], may_fail: Collection[str], max_failures: int
) -> None:
    if not error.unreadable or error.name not in may_fail or max_failures < 1:
        raise error
    if len(left_out) == max_failures:
        reason = f"{error.args[1]} ({max_failures + 1} cases cannot be read; wanted at most {max_failures})"
        raise BuildError(error.name, reason, True) from error.__cause__
    left_out[error.name] = error.args[1]
    _LOG.warning("%s; left out (%d of at most %d)", error, len(left_out), max_failures)


def _report(left_out: Mapping[str, str], may_fail: Collection[str]) -> None:
    if len(left_out) == len(set(may_fail)):
        name, reason = next(iter(left_out.items()))
        raise BuildError(name, f"{reason}, and no other of {len(left_out)} can be read either", True)
    _LOG.warning(
        "%d cases could not be read and are left out: %s", len(left_out), ", ".join(sorted(left_out))
    )
