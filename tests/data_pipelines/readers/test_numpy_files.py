import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from data_pipelines.readers import numpy_files
from data_pipelines.readers.errors import ReadError

VOLUME = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def npy(array=VOLUME, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def with_header(text):
    text = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + VOLUME.tobytes()


def npz(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def flipped(content, position, bit=1):
    content = bytearray(content)
    content[position] ^= bit
    return bytes(content)


def claiming(size):
    """A member whose list entry claims another size."""
    content = bytearray(npz([("image.npy", npy())]))
    start = content.index(b"PK\1\2")
    content[start + 24 : start + 28] = struct.pack("<I", size)
    return bytes(content)


numbers = st.one_of(
    st_numpy.boolean_dtypes(),
    st_numpy.integer_dtypes(endianness="?"),
    st_numpy.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    st_numpy.complex_number_dtypes(endianness="?", sizes=(64, 128)),
)


@given(
    array=st_numpy.arrays(numbers, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    fortran=st.booleans(),
)
def test_any_numbers_are_read_as_numpy_reads_them(tmp_path_factory, array, fortran):
    folder = tmp_path_factory.mktemp("arrays")
    array = np.asfortranarray(array) if fortran else array
    np.save(folder / "a.npy", array)
    np.savez_compressed(folder / "a.npz", first=array, second=array[None])
    arrays = numpy_files.read_arrays(folder / "a.npz")
    assert list(arrays) == ["first", "second"]
    for read, wanted in (
        (numpy_files.map_array(folder / "a.npy"), array),
        (arrays["first"], array),
        (arrays["second"], array[None]),
    ):
        assert (read.dtype, read.shape) == (wanted.dtype, wanted.shape)
        assert np.ascontiguousarray(read).tobytes() == np.ascontiguousarray(wanted).tobytes()
        assert not read.flags.writeable


def test_arrays_are_mapped(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy())
    assert isinstance(numpy_files.map_array(tmp_path / "a.npy").base, np.memmap)


HEADER = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3, 4), }"
BAD = {
    "truncated": (lambda: npy()[:-1], r"175 bytes.* \(truncated\); wanted 176 bytes"),
    "truncated header": (lambda: npy()[:100], "a header of 128 bytes"),
    "too long": (lambda: npy() + b"0", r"too long"),
    "empty": (lambda: b"", "an empty file"),
    "no npy": (lambda: b"\x89PNG" * 50, "no magic"),
    "pickle": (lambda: b"\x80\x04." * 50, "no magic"),
    "unknown version": (lambda: flipped(npy(), 6, 8), "no magic and version"),
    "objects": (lambda: npy(np.array([None, {}]), allow_pickle=True), r"the header .*'\|O'.*wanted numbers"),
    "records": (lambda: npy(np.zeros(3, "i2,f4")), "the header .*wanted numbers"),
    "text": (lambda: npy(np.array(["a"])), "the header .*wanted numbers"),
    "dates": (lambda: npy(np.zeros(2, "M8[s]")), "the header .*wanted numbers"),
    "code in the header": (lambda: with_header("__import__('os').getcwd()"), "the header .__import__"),
    "negative size": (lambda: with_header(HEADER.replace("2,", "-2,")), "the header"),
    "bomb": (lambda: with_header(HEADER.replace("2,", "999999999,")), r"truncated\); wanted 24000000057"),
    "overflowing sizes": (lambda: with_header(HEADER.replace("2, 3", f"0, {10**18}")), "the shape"),
    "sizes too few": (lambda: with_header(HEADER.replace("(2, 3, 4)", "(24)")), "the shape"),
    "header bomb": (lambda: b"\x93NUMPY\2\0\xff\xff\xff\xff", "a header of 4294967307 bytes"),
}


@pytest.mark.faults
@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_npy_files_are_refused(tmp_path, make, message, record_fault, request):
    path = tmp_path / "a.npy"
    path.write_bytes(make())
    tracemalloc.start()
    with pytest.raises(ReadError, match=message) as caught:
        numpy_files.map_array(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    assert "\n" not in str(caught.value)
    if "empty" not in message:
        (tmp_path / "a.npz").write_bytes(npz([("image.npy", make())]))
        with pytest.raises(ReadError, match=message):
            numpy_files.read_arrays(tmp_path / "a.npz")
    record_fault(f"npy and npz: {request.node.callspec.id}", f"found {caught.value.found}")


BAD_ARCHIVES = {
    "truncated": (lambda: npz([("a.npy", npy())])[:-30], "damaged archive"),
    "empty": (lambda: b"", "an empty file"),
    "no archive": (npy, "damaged archive"),
    "flipped bit": (
        lambda: flipped(npz([("a.npy", npy())], zipfile.ZIP_STORED), 150),
        "damaged archive .*CRC",
    ),
    "other member": (lambda: npz([("a.txt", b"text")]), "the member 'a.txt'"),
    "unusual compression": (lambda: npz([("a.npy", npy())], zipfile.ZIP_LZMA), "unusually compressed"),
    "claims more": (lambda: claiming(10**6), "claims 1000000 bytes"),
    "claims a little more": (lambda: claiming(len(npy()) + 9), "another size than announced|damaged"),
    "claims less": (lambda: claiming(len(npy()) - 9), "another size than announced|damaged"),
}


@pytest.mark.faults
@pytest.mark.parametrize(("make", "message"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES.keys())
def test_bad_npz_files_are_refused(tmp_path, make, message, record_fault, request):
    path = tmp_path / "a.npz"
    path.write_bytes(make())
    with pytest.raises(ReadError, match=message) as caught:
        numpy_files.read_arrays(path)
    assert "\n" not in str(caught.value)
    record_fault(f"npz: {request.node.callspec.id}", f"found {caught.value.found}")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_more_than_a_file_may_hold_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(npz([("a.npy", npy()), ("a.npy", npy())]))
    with pytest.raises(ReadError, match="two arrays of one name"):
        numpy_files.read_arrays(path)
    path.write_bytes(npz([("a.npy", npy()), ("b.npy", npy())]))
    monkeypatch.setattr(numpy_files, "MAX_NPZ_BYTES", 300)
    with pytest.raises(ReadError, match=r"arrays of 352 bytes, .*wanted at most 300"):
        numpy_files.read_arrays(path)
    monkeypatch.setattr(numpy_files, "MAX_ARRAYS", 1)
    with pytest.raises(ReadError, match="2 arrays; wanted at most 1"):
        numpy_files.read_arrays(path)


def test_volumes_are_float32_and_finite(tmp_path):
    path = tmp_path / "case.npy"
    np.save(path, VOLUME)
    example = numpy_files.read_volume(path, spacing_mm=(2.0, 1.0, 1.0))
    np.testing.assert_array_equal(example.image, VOLUME)
    assert (example.image.dtype, example.subject, example.affine) == (np.float32, "case", None)
    assert example.spacing_mm == (2.0, 1.0, 1.0)
    for bad, message in (
        (VOLUME[0], r"shape \(3, 4\)"),
        (VOLUME[:0], r"shape \(0, 3, 4\)"),
        (VOLUME.astype(complex), "dtype complex128"),
        (np.where(VOLUME == 5, np.nan, VOLUME), "1 of 24 voxels NaN"),
    ):
        np.save(path, bad)
        with pytest.raises(ReadError, match=message):
            numpy_files.read_volume(path, spacing_mm=(1.0, 1.0, 1.0))
    replaced = numpy_files.read_volume(path, spacing_mm=(1.0, 1.0, 1.0), replace_nonfinite=True)
    np.testing.assert_array_equal(replaced.image, np.where(VOLUME == 5, 0, VOLUME))


@pytest.mark.parametrize(
    ("read", "name"), [(numpy_files.map_array, "a.npy"), (numpy_files.read_arrays, "a.npz")]
)
def test_absent_and_misnamed_files_are_refused(tmp_path, read, name):
    with pytest.raises(ReadError, match="no file"):
        read(tmp_path / name)
    with pytest.raises(ReadError, match=r"the file name 'a\.pkl'"):
        read(tmp_path / "a.pkl")
