"""Data sets that come as zip or tar archives, unpacked with distrust: whole and harmless, or not at all."""

import bz2
import gzip
import lzma
import secrets
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from data_pipelines.readers.errors import ReadError

MAX_FILES = 1_000_000
"""Most files of an archive."""

MAX_RATIO = 200
"""Most times that an archive may grow. Medical images shrink by 2 to 4, label maps by 100."""

_FREE_BYTES = 2**26
"""What may be unpacked whatever the ratio: small archives of empty masks shrink a thousandfold."""

_CHUNK_BYTES = 2**20
_TAR_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


def extract(archive: str | Path, folder: str | Path, *, max_bytes: int = 2**40) -> None:
    """Unpacks a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz file into a new folder.

    All checksums that the format has are compared, and a tar archive must reach its end mark, so that a
    truncated one is not taken for a smaller one. Permissions, owners and times are not restored. Files are
    written beside the folder, which appears at the end and only if all went well.

    Args:
        archive: the file.
        folder: to make; its parent must exist.
        max_bytes: most bytes of all files together.

    Raises:
        ReadError: a damaged archive; links, devices and other members that are no files or folders; absolute
            paths, `..`, backslashes, drives and empty names; two members of one path; encryption; more than
            `max_bytes`, `MAX_FILES` or `MAX_RATIO`.
        FileExistsError: the folder is there already.
        OSError: the files cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise ReadError(archive, "no file", "a zip or tar archive")
    if folder.exists():
        raise FileExistsError(f"{folder}: found something there already; wanted a folder to make")
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        _Unpacking(archive, temporary, max_bytes).run()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _ShortReads:
    """A stream that refuses to read much at a time: tarfile reads extended headers whole, however long."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _CHUNK_BYTES:
            raise OSError(f"a header of {size} bytes")
        return self._stream.read(size)


class _Unpacking:
    """One archive on its way into a folder, with what it has taken so far."""

    def __init__(self, archive: Path, folder: Path, max_bytes: int):
        self._archive, self._folder = archive, folder
        ratio_bytes = max(_FREE_BYTES, MAX_RATIO * archive.stat().st_size)
        self._max_bytes = min(max_bytes, ratio_bytes)
        self._num_bytes = 0
        self._kinds: dict[PurePosixPath, str] = {}

    def run(self) -> None:
        """Writes every member.

        Raises:
            ReadError: see `extract`.
        """
        members = self._zip_members() if zipfile.is_zipfile(self._archive) else self._tar_members()
        for name, stream in self._read(members):
            path = self._checked_path(name, "folder" if stream is None else "file")
            target = self._folder / path
            if stream is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for chunk in self._read(iter(lambda stream=stream: stream.read(_CHUNK_BYTES), b"")):
                    self._count(len(chunk), name)
                    file.write(chunk)

    def _read(self, steps: Iterator) -> Iterator:
        """Passes on what the archive gives, and its own errors as one kind."""
        while True:
            try:
                step = next(steps)
            except StopIteration:
                return
            except ReadError:
                raise
            except tarfile.FilterError as error:
                raise self._refuse(
                    f"an unsafe member ({type(error).__name__})", "files and folders within the archive"
                ) from error
            # The modules answer damage with errors of many kinds.
            except Exception as error:
                raise self._refuse(f"a damaged archive ({error})", "an intact zip or tar archive") from error
            yield step

    def _zip_members(self) -> Iterator[tuple[str, IO[bytes] | None]]:
        with zipfile.ZipFile(self._archive) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    raise self._refuse("an encrypted member", "a plain archive")
                mode = member.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise self._refuse(f"{member.filename[:80]!a}, a link or device", "files and folders")
                if member.is_dir():
                    yield member.orig_filename, None
                    continue
                with archive.open(member) as stream:
                    yield member.orig_filename, stream

    def _tar_members(self) -> Iterator[tuple[str, IO[bytes] | None]]:
        with self._archive.open("rb") as file:
            head = file.read(6)
        opener = next((opener for mark, opener in _TAR_OPENERS.items() if head.startswith(mark)), open)
        with (
            opener(self._archive, "rb") as stream,
            tarfile.TarFile(fileobj=_ShortReads(stream)) as archive,  # pyright: ignore[reportArgumentType]
        ):
            for member in archive:
                tarfile.data_filter(member, str(self._folder))
                content = archive.extractfile(member) if member.isreg() else None
                if content is None and not member.isdir():
                    raise self._refuse(f"{member.name[:80]!a}, a link or device", "files and folders")
                yield member.name, content
            self._check_end(stream, archive.offset)

    def _check_end(self, stream: IO[bytes], offset: int) -> None:
        # tarfile takes a missing end mark and a damaged header for the end, and stops before the checksum.
        stream.seek(offset)
        rest = stream.read(512)
        zeros = len(rest) == 512
        while rest:
            self._count(len(rest), "the end")
            zeros = zeros and not any(rest)
            rest = stream.read(_CHUNK_BYTES)
        if not zeros:
            raise self._refuse("no end mark after the last file (truncated or damaged)", "a whole archive")

    def _checked_path(self, name: str, kind: str) -> PurePosixPath:
        path = PurePosixPath(name)
        if not path.parts and kind == "folder":
            return path
        harmful = path.is_absolute() or ".." in path.parts or "\\" in name or name[1:2] == ":"
        if harmful or not path.parts or not name.isprintable():
            raise self._refuse(f"the path {name[:80]!a}", "relative paths without '..'")
        # A file may be listed once, and a file is no folder.
        for parent in path.parents[:-1]:
            if self._kinds.setdefault(parent, "folder") != "folder":
                raise self._refuse(f"the file {str(parent)[:80]!a} as a folder too", "one of the two")
        if self._kinds.setdefault(path, kind) != kind or (kind == "file" and (self._folder / path).exists()):
            raise self._refuse(f"{name[:80]!a} twice", "distinct paths")
        if len(self._kinds) > MAX_FILES:
            raise self._refuse(f"more than {MAX_FILES} files", "fewer")
        return path

    def _count(self, num_bytes: int, name: str) -> None:
        self._num_bytes += num_bytes
        if self._num_bytes > self._max_bytes:
            raise self._refuse(
                f"more than {self._max_bytes} bytes by {name[:80]!a}",
                f"no more, nor {MAX_RATIO} times its size",
            )

    def _refuse(self, found: str, wanted: str) -> ReadError:
        return ReadError(self._archive, found, wanted)
