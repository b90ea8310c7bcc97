import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from data_pipelines.readers import archives
from data_pipelines.readers.errors import ReadError

FILES = {
    "set/studies/CT-0/a.nii.gz": b"a" * 700,
    "set/masks/b.nii.gz": b"",
    "set/read me.txt": bytes(range(256)),
}


def tar(members, mode="w", end=True):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        length = stream.tell()
    return stream.getvalue() if end else stream.getvalue()[:length]


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def zip_link():
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped([(member, b"/etc/passwd")])


def encrypted():
    content = bytearray(zipped([("a", b"a")]))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


def flipped(content, position):
    content = bytearray(content)
    content[position] ^= 1
    return bytes(content)


def huge_header():
    member = tarfile.TarInfo("a")
    member.pax_headers = {"comment": "x" * 2**21}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    return gzip.compress(stream.getvalue())


def overlapping():
    """Two entries of the list that share one body."""
    content = zipped([("a", bytes(2**10))])
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = content[start:end]
    tail = bytearray(content[end:])
    tail[8] = tail[10] = 2
    tail[12:16] = (2 * len(entry)).to_bytes(4, "little")
    return content[:start] + entry + entry + bytes(tail)


GOOD = {
    "zip": lambda: zipped(FILES.items()),
    "zip, stored": lambda: zipped(FILES.items(), zipfile.ZIP_STORED),
    "tar": lambda: tar(FILES.items()),
    "tar.gz": lambda: tar(FILES.items(), "w:gz"),
    "tar.bz2": lambda: tar(FILES.items(), "w:bz2"),
    "tar.xz": lambda: tar(FILES.items(), "w:xz"),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD.keys())
def test_archives_are_unpacked_whole(tmp_path, make):
    (tmp_path / "archive").write_bytes(make())
    archives.extract(tmp_path / "archive", tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out"]


def test_folders_of_their_own_and_a_leading_dot_are_taken(tmp_path):
    folder, top = tarfile.TarInfo("./empty"), tarfile.TarInfo("./")
    folder.type = top.type = tarfile.DIRTYPE
    (tmp_path / "a.tar").write_bytes(tar([(top, b""), (folder, b""), ("./b/c.txt", b"c")]))
    archives.extract(tmp_path / "a.tar", tmp_path / "tar")
    (tmp_path / "a.zip").write_bytes(zipped([("empty/", b""), ("b/c.txt", b"c")]))
    archives.extract(tmp_path / "a.zip", tmp_path / "zip")
    for name in ("tar", "zip"):
        assert (tmp_path / name / "empty").is_dir()
        assert (tmp_path / name / "b/c.txt").read_bytes() == b"c"


def test_permissions_of_the_archive_are_not_restored(tmp_path):
    member = tarfile.TarInfo("run.sh")
    member.mode = 0o6777
    (tmp_path / "a.tar").write_bytes(tar([(member, b"#!")]))
    archives.extract(tmp_path / "a.tar", tmp_path / "out")
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o7111 == 0


BAD = {
    "no archive": (lambda: b"no archive", "damaged archive"),
    "empty file": (lambda: b"", "damaged archive"),
    "zip, '..'": (lambda: zipped([("../a", b"a")]), r"the path '\.\./a'"),
    "tar, '..'": (lambda: tar([("b/../../a", b"a")]), "an unsafe member|the path"),
    "zip, absolute path": (lambda: zipped([("/tmp/a", b"a")]), "the path '/tmp/a'"),
    "tar, absolute path": (lambda: tar([("/tmp/a", b"a")]), "the path '/tmp/a'"),
    "zip, backslash": (lambda: zipped([("b\\..\\a", b"a")]), "the path"),
    "zip, drive": (lambda: zipped([("C:/a", b"a")]), "the path 'C:/a'"),
    "zip, link": (zip_link, "'link', a link or device"),
    "tar, symbolic link": (lambda: tar([(special("l", tarfile.SYMTYPE, "a"), b"")]), "a link or device"),
    "tar, hard link": (
        lambda: tar([("a", b"a"), (special("l", tarfile.LNKTYPE, "a"), b"")]),
        "a link or device",
    ),
    "tar, link to outside": (lambda: tar([(special("l", tarfile.SYMTYPE, "/etc"), b"")]), "an unsafe member"),
    "tar, device": (lambda: tar([(special("d", tarfile.CHRTYPE), b"")]), "an unsafe member"),
    "tar, pipe": (lambda: tar([(special("d", tarfile.FIFOTYPE), b"")]), "an unsafe member"),
    "zip, encrypted": (encrypted, "an encrypted member"),
    "tar, one path twice": (lambda: tar([("a", b"1"), ("./a", b"2")]), "'./a' twice"),
    "zip, file as a folder": (lambda: zipped([("a", b"1"), ("a/b", b"2")]), "the file 'a' as a folder too"),
    "zip, folder as a file": (lambda: zipped([("a/b", b"1"), ("a", b"2")]), "'a' twice"),
    "zip, overlapping members": (overlapping, "damaged archive|'a' twice"),
    "zip bomb": (lambda: zipped([("a", bytes(2**26 + 1))]), "more than 67108864 bytes by 'a'"),
    "tar.xz bomb": (lambda: tar([("a", bytes(2**26 + 1))], "w:xz"), "more than 67108864 bytes by 'a'"),
    "tar.gz, zeros after the end": (
        lambda: gzip.compress(tar([("a", b"a")]) + bytes(2**26)),
        "more than 67108864 bytes by 'the end'",
    ),
    "tar.gz, header of 2 MiB": (huge_header, "damaged archive .a header of"),
    "zip, truncated": (lambda: zipped(FILES.items())[:-30], "damaged archive"),
    "zip, flipped bit": (lambda: flipped(zipped(FILES.items(), zipfile.ZIP_STORED), 100), "CRC"),
    "tar, truncated in a file": (lambda: tar(FILES.items())[:1000], "damaged archive"),
    "tar, truncated between files": (lambda: tar(FILES.items(), end=False), "no end mark"),
    "tar, damaged header": (lambda: flipped(tar(FILES.items()), 512 + 1024), "no end mark"),
    "tar.gz, without trailer": (lambda: tar(FILES.items(), "w:gz")[:-8], "damaged archive"),
    "tar.gz, flipped checksum": (lambda: flipped(tar(FILES.items(), "w:gz"), -6), "damaged archive .*CRC"),
}


@pytest.mark.faults
@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_archives_leave_nothing_behind(tmp_path, make, message, record_fault, request):
    (tmp_path / "archive").write_bytes(make())
    with pytest.raises(ReadError, match=message) as caught:
        archives.extract(tmp_path / "archive", tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path}/archive: found ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    record_fault(f"archive: {request.node.callspec.id}", f"found {caught.value.found}; nothing written")


def test_caps_on_size_and_count(tmp_path, monkeypatch):
    (tmp_path / "a.zip").write_bytes(zipped(FILES.items()))
    with pytest.raises(ReadError, match="more than 900 bytes by 'set/read me"):
        archives.extract(tmp_path / "a.zip", tmp_path / "out", max_bytes=900)
    monkeypatch.setattr(archives, "MAX_FILES", 4)
    with pytest.raises(ReadError, match="more than 4 files"):
        archives.extract(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_folder_that_is_there_stays(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(FILES.items()))
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="out: found something there already"):
        archives.extract(tmp_path / "a.zip", tmp_path / "out")
    with pytest.raises(ReadError, match="no file"):
        archives.extract(tmp_path / "b.zip", tmp_path / "other")
