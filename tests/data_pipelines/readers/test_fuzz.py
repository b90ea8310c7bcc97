"""Seeded damage of every kind to files of every format: refused, or read as what the file then says.

`python -m pytest -m fuzz` tries 1,800 mutations; any other run the first tenth of each format's. A mutation
may end in three ways: the reader's own error; the voxels and the geometry of the undamaged file; and, where
a format has no checksum, what an independent reader finds in the damaged file. Nothing else, and no hang.
"""

import collections
import gzip
import io
import shutil
import signal
import warnings
import zlib

import nibabel as nib
import numpy as np
import pydicom
import pytest

from data_pipelines.cache import open_cache
from data_pipelines.readers import dicom, nifti, numpy_files
from data_pipelines.readers.errors import ReadError

SEED = 20_261_124
NUM_MUTATIONS = {"nii": 400, "nii.gz": 300, "DICOM": 400, "npy": 250, "npz": 200, "cache": 250}
SHORT_RUN = 10
SECONDS_PER_MUTATION = 10

GENERATOR = np.random.default_rng(0)
VOLUME = GENERATOR.integers(-1000, 2000, (5, 6, 4)).astype(np.int16)
AFFINE = np.array([[-0.5, 0, 0, 9], [0, 0.75, 0, -8], [0, 0, 2, 7], [0, 0, 0, 1.0]])
ARRAYS = {"image": VOLUME, "label": VOLUME > 0, "spacing_mm": np.array([2.0, 0.75, 0.5])}
EXTREMES = [0, 1, -1, 2, 127, 128, 255, 2**15 - 1, 2**15, 2**31 - 1, 2**31, 2**62]


class HangError(BaseException):
    """Not an Exception: no reader may swallow it."""


def flip_bits(content, generator):
    content = bytearray(content)
    for position in generator.integers(0, len(content), generator.integers(1, 4)):
        content[position] ^= 1 << generator.integers(8)
    return bytes(content)


def flip_a_bit_of_the_head(content, generator):
    content = bytearray(content)
    content[generator.integers(min(len(content), 352))] ^= 1 << generator.integers(8)
    return bytes(content)


def truncate(content, generator):
    return content[: generator.integers(len(content))]


def extend(content, generator):
    return content + generator.bytes(int(generator.integers(1, 600)))


def zero_a_block(content, generator):
    start = int(generator.integers(len(content)))
    stop = min(len(content), start + int(generator.integers(1, 64)))
    return content[:start] + bytes(stop - start) + content[stop:]


def write_an_extreme(content, generator):
    """An extreme whole or floating-point number over one to eight bytes of the first 352."""
    size = int(generator.choice([1, 2, 4, 8]))
    start = int(generator.integers(max(1, min(len(content), 352) - size)))
    if size >= 4 and generator.random() < 0.4:
        value = np.array(generator.choice([np.nan, np.inf, -np.inf, 1e30, -1e-30]), f"<f{size}").tobytes()
    else:
        value = (int(generator.choice(EXTREMES)) % 256**size).to_bytes(size, "little")
    return content[:start] + value + content[start + size :]


def lose_the_content(content, generator):
    return b""


MUTATIONS = [
    flip_bits,
    flip_a_bit_of_the_head,
    truncate,
    extend,
    zero_a_block,
    write_an_extreme,
    write_an_extreme,
    lose_the_content,
]


def mutate_files(folder, generator):
    """Damages, deletes or doubles a file of the folder; tells what was done."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    path = paths[generator.integers(len(paths))]
    kind = generator.integers(len(MUTATIONS) + 2)
    if kind == len(MUTATIONS):
        path.unlink()
        return f"{path.name} deleted"
    if kind == len(MUTATIONS) + 1:
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
        return f"{path.name} doubled"
    path.write_bytes(MUTATIONS[kind](path.read_bytes(), generator))
    return f"{MUTATIONS[kind].__name__} in {path.name}"


# Each format: how its files are made, how they are read, and what else than the truth they may say.


def nifti_bytes():
    return nib.Nifti1Image(VOLUME, AFFINE).to_bytes()


def make_nii(folder):
    (folder / "a.nii").write_bytes(nifti_bytes())


def make_nii_gz(folder):
    # Every other file is stored without compression, where only the checksum knows of damage.
    level = 6 * (len(folder.name) % 2)
    (folder / "a.nii.gz").write_bytes(gzip.compress(nifti_bytes(), compresslevel=level))


def read_nii(folder):
    example = nifti.read_volume(next(iter(sorted(folder.glob("a.nii*"))), folder / "a.nii"))
    return {"image": example.image, "affine": example.affine}


def nii_says(folder):
    """What nibabel finds, brought to canonical order in another way than ours."""
    stored = nib.Nifti1Image.from_bytes((folder / "a.nii").read_bytes())
    image = nib.as_closest_canonical(nib.squeeze_image(stored))
    values = np.asarray(image.dataobj, np.float32)
    width, height, _ = values.shape
    to_ours = np.array([[0, 0, -1, width - 1], [0, -1, 0, height - 1], [1, 0, 0, 0], [0, 0, 0, 1]])
    return {"image": values.transpose(2, 1, 0)[:, ::-1, ::-1], "affine": image.affine @ to_ours}


def make_npy(folder):
    np.save(folder / "a.npy", VOLUME)


def read_npy(folder):
    return {"image": numpy_files.map_array(folder / "a.npy")}


def npy_says(folder):
    return {"image": np.load(io.BytesIO((folder / "a.npy").read_bytes()), allow_pickle=False)}


def make_npz(folder):
    save = np.savez if len(folder.name) % 2 else np.savez_compressed
    save(folder / "a.npz", **ARRAYS)


def read_npz(folder):
    return numpy_files.read_arrays(folder / "a.npz")


def read_cache(folder):
    cache = open_cache(folder, {"version": 1}, ["a", "b"], lambda name: ARRAYS)
    return {f"{name} {key}": array for name in cache for key, array in cache[name].items()}


def read_series(folder):
    example = dicom.read_series(folder)
    return {"image": example.image, "affine": example.affine}


def series_says(folder):
    """What pydicom finds in the files that it takes for CT slices, sorted by their third coordinate."""
    slices = []
    for path in folder.iterdir():
        try:
            dataset = pydicom.dcmread(path)
            if dataset.file_meta.MediaStorageSOPClassUID == pydicom.uid.CTImageStorage:
                slices.append(dataset)
        except pydicom.errors.InvalidDicomError:
            continue
    slices.sort(key=lambda one: one.ImagePositionPatient[2])
    first, last = slices[0], slices[-1]
    (row, column), (x, y, z) = map(float, first.PixelSpacing), map(float, first.ImagePositionPatient)
    gap = (np.array(last.ImagePositionPatient, float) - np.array(first.ImagePositionPatient, float)) / (
        len(slices) - 1
    )
    axes = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    affine = np.eye(4)
    affine[:3] = np.column_stack([gap, axes[1] * row, axes[0] * column, (x, y, z)])
    image = [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices]
    return {"image": np.array(image, np.float32), "affine": np.diag([-1, -1, 1, 1]) @ affine}


@pytest.fixture
def formats(write_series):
    def make_series(folder):
        write_series(folder, VOLUME)

    return {
        "nii": (make_nii, read_nii, nii_says),
        "nii.gz": (make_nii_gz, read_nii, None),
        "DICOM": (make_series, read_series, series_says),
        "npy": (make_npy, read_npy, npy_says),
        "npz": (make_npz, read_npz, None),
        "cache": (read_cache, read_cache, None),
    }


def equal(found, wanted):
    return found.keys() == wanted.keys() and all(
        found[name].shape == wanted[name].shape
        and (
            np.allclose(found[name], wanted[name], rtol=1e-5, atol=1e-4)
            if name == "affine"
            else np.array_equal(found[name], wanted[name])
        )
        for name in wanted
    )


def outcome_of(folder, read, says, original):
    """Reads a damaged file in bounded time and judges what came of it."""

    def on_alarm(number, frame):
        raise HangError(f"{folder} took more than {SECONDS_PER_MUTATION} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(SECONDS_PER_MUTATION)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = read(folder)
            except ReadError as error:
                assert "\n" not in str(error)
                assert "Secret" not in str(error)
                return "refused"
            found = {name: np.array(array) for name, array in found.items()}
            if equal(found, original):
                return "read as undamaged"
            assert says is not None, "other voxels than before in a format with checksums"
            assert equal(found, says(folder)), "other voxels than the damaged file says"
            return "read as the file says"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.fuzz
@pytest.mark.faults
@pytest.mark.parametrize("kind", NUM_MUTATIONS)
def test_damage_is_refused_or_read_as_the_file_says(kind, formats, tmp_path, request, record_fault):
    selected = request.config.getoption("markexpr")
    full = "fuzz" in selected and "not fuzz" not in selected
    num_mutations = NUM_MUTATIONS[kind] if full else NUM_MUTATIONS[kind] // SHORT_RUN
    make, read, says = formats[kind]
    outcomes = collections.Counter()
    for number in range(num_mutations):
        generator = np.random.default_rng([SEED, zlib.crc32(kind.encode()), number])
        folder = tmp_path / f"mutation{number}"
        folder.mkdir()
        make(folder)
        original = {name: np.array(array) for name, array in read(folder).items()}
        done = mutate_files(folder, generator)
        try:
            outcomes[outcome_of(folder, read, says, original)] += 1
        except BaseException as error:
            error.add_note(f"{kind}, mutation {number} of seed {SEED}: {done}, in {folder}")
            raise
        shutil.rmtree(folder)
    assert sum(outcomes.values()) == num_mutations
    assert outcomes["read as undamaged"] if kind == "cache" else outcomes["refused"]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    record_fault(f"fuzz: {num_mutations} mutations of {kind} (seed {SEED})", counts)
