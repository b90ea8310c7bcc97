import gzip
import itertools
import tracemalloc
import warnings

import nibabel as nib
import numpy as np
import pytest

from data_pipelines import orientation, preprocess
from data_pipelines.readers import nifti
from data_pipelines.readers.errors import ReadError

VOLUME = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
DIRECTIONS = dict(zip("RAS", np.eye(3), strict=True)) | dict(zip("LPI", -np.eye(3), strict=True))
ORIENTATIONS = [
    "".join(letters)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*axes)
]
AFFINE = np.array([[-0.5, 0, 0, 9], [0, 0.75, 0, -8], [0, 0, 2, 7], [0, 0, 0, 1.0]])


def content_of(array=VOLUME, affine=AFFINE, image_class=nib.Nifti1Image):
    return image_class(array, affine).to_bytes()


def affine_of(codes):
    """Affine of anisotropic voxels near the given directions, a little oblique."""
    turn = nib.quaternions.angle_axis2mat(0.1, [1, 2, 3], is_normalized=False)
    affine = np.eye(4)
    affine[:3, :3] = (
        turn @ np.column_stack([DIRECTIONS[letter] for letter in codes]) @ np.diag([0.5, 0.75, 2])
    )
    affine[:3, 3] = [9, -8, 7]
    return affine


def edited(header_class=nib.Nifti1Header, content=None, **fields):
    """A good file with some header fields overwritten."""
    content = content_of() if content is None else content
    size = header_class.template_dtype.itemsize
    header = header_class(content[:size], check=False)
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + content[size:]


def dims(*sizes):
    return [len(sizes), *sizes, *([1] * (7 - len(sizes)))]


def sform(affine):
    affine = np.array(affine, float)
    return {"sform_code": 1, "srow_x": affine[0], "srow_y": affine[1], "srow_z": affine[2]}


def with_voxel(value):
    array = np.ones((2, 3, 4), np.float64)
    array[1, 2, 3] = value
    return content_of(array)


def flipped_in_stored_block():
    # Level 0 stores the bytes as they are: only the CRC can tell that one has changed.
    content = bytearray(gzip.compress(content_of(), compresslevel=0))
    content[-20] ^= 1
    return bytes(content)


BAD = {
    "truncated": ("a.nii", lambda: content_of()[:-5], "truncated"),
    "truncated header": ("a.nii", lambda: content_of()[:300], "300 bytes"),
    "truncated gzip": ("a.nii.gz", lambda: gzip.compress(content_of())[:-20], "truncated"),
    "gzip without trailer": ("a.nii.gz", lambda: gzip.compress(content_of())[:-4], "truncated"),
    "complete gzip of a truncated file": (
        "a.nii.gz",
        lambda: gzip.compress(content_of()[:-5]),
        r"395 bytes \(truncated\)",
    ),
    "flipped byte": ("a.nii.gz", flipped_in_stored_block, "damaged data.*CRC"),
    "empty": ("a.nii", lambda: b"", "an empty file"),
    "empty gz": ("a.nii.gz", lambda: b"", "an empty file"),
    "not gzip": ("a.nii.gz", content_of, "not gzip"),
    "gzip under a plain name": ("a.nii", lambda: gzip.compress(content_of()), "gzip data"),
    "other name": ("a.img", content_of, "file name"),
    "no NIfTI": ("a.nii", lambda: b"\x89PNG" * 200, "no NIfTI header"),
    "two-file NIfTI": ("a.nii", lambda: edited(magic=b"ni1"), "magic"),
    "data after the voxels": ("a.nii", lambda: content_of() + b"more", "too long"),
    "data after the voxels in gzip": (
        "a.nii.gz",
        lambda: gzip.compress(content_of() + bytes(2**20)),
        "after the last",
    ),
    "zero size": ("a.nii", lambda: edited(dim=dims(2, 0, 4)), "at least one voxel"),
    "negative size": ("a.nii", lambda: edited(dim=dims(2, -3, 4)), "at least one voxel"),
    "two dimensions": ("a.nii", lambda: edited(dim=dims(6, 4)), "2 dimensions"),
    "several volumes": ("a.nii", lambda: edited(dim=dims(2, 3, 2, 2)), "4 dimensions"),
    "five dimensions": ("a.nii", lambda: edited(dim=dims(2, 3, 4, 1, 1)), "5 dimensions"),
    "no rank": ("a.nii", lambda: edited(dim=[-1, 2, 3, 4, 1, 1, 1, 1]), "dimensions"),
    "header bomb": ("a.nii.gz", lambda: gzip.compress(edited(dim=dims(32000, 32000, 32000))), "claims shape"),
    "NIfTI-2 header bomb": (
        "a.nii.gz",
        lambda: gzip.compress(
            edited(
                nib.Nifti2Header,
                content_of(image_class=nib.Nifti2Image),
                dim=dims(2**40, 2**40, 2**40),
            )
        ),
        "claims shape",
    ),
    "ratio bomb": (
        "a.nii.gz",
        lambda: gzip.compress(edited(dim=dims(1000, 1000, 500)) + bytes(2**20)),
        "claims 1000000352 bytes",
    ),
    "offset bomb": ("a.nii", lambda: edited(vox_offset=1e30), "vox_offset"),
    "offset NaN": ("a.nii", lambda: edited(vox_offset=np.nan), "vox_offset"),
    "complex": ("a.nii", lambda: content_of(VOLUME.astype(np.complex64)), "data type code 32"),
    "unknown type": ("a.nii", lambda: edited(datatype=12345), "data type code 12345"),
    "NaN voxel": ("a.nii.gz", lambda: gzip.compress(with_voxel(np.nan)), "1 of 24 voxels NaN"),
    "infinite voxel": ("a.nii", lambda: with_voxel(np.inf), "1 of 24 voxels NaN or infinite"),
    "voxel beyond float32": ("a.nii", lambda: with_voxel(1e300), "1 of 24 voxels NaN or infinite"),
    "slope 0": ("a.nii", lambda: edited(scl_slope=0), "scl_slope 0 .*accept_zero_slope"),
    "slope NaN": ("a.nii", lambda: edited(scl_slope=np.nan), "scl_slope nan"),
    "intercept infinite": ("a.nii", lambda: edited(scl_inter=np.inf), "scl_inter inf"),
    "affine NaN": ("a.nii", lambda: edited(**sform(AFFINE * [1, np.nan, 1, 1])), "NaN"),
    "affine singular": ("a.nii", lambda: edited(**sform(AFFINE * [1, 0, 1, 1])), "singular"),
    "affine of two parallel axes": (
        "a.nii",
        lambda: edited(**sform([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])),
        "singular",
    ),
    "affine sheared": ("a.nii", lambda: edited(**sform(AFFINE + np.eye(4, k=1) * 0.01)), "sheared"),
    "quaternion too long": (
        "a.nii",
        lambda: edited(sform_code=0, qform_code=1, quatern_b=1, quatern_c=1),
        "unusable qform",
    ),
    "voxels as large as galaxies": (
        "a.nii",
        lambda: edited(**sform(AFFINE * [1, 1e29, 1, 1])),
        "voxels of 7.5e.28 mm",
    ),
    "origin beyond the solar system": (
        "a.nii",
        lambda: edited(**sform(AFFINE * [1, 1, 1, 1e12])),
        "mm at 9e.12 mm",
    ),
    "unknown sform code": ("a.nii", lambda: edited(sform_code=2050), "sform_code 2050; wanted 0 to 5"),
    "unknown qform code": ("a.nii", lambda: edited(qform_code=-1), "qform_code -1; wanted 0 to 5"),
    "metres": ("a.nii", lambda: edited(xyzt_units=1), "voxel sizes in metres"),
}


@pytest.mark.faults
@pytest.mark.parametrize(("name", "make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused(tmp_path, name, make, message, record_fault, request):
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(ReadError, match=message) as caught:
        nifti.read_volume(path)
    assert str(caught.value).startswith(f"{path}: found ")
    assert "; wanted " in str(caught.value)
    assert "\n" not in str(caught.value)
    record_fault(f"NIfTI: {request.node.callspec.id}", f"found {caught.value.found}")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        nifti.read_volume(tmp_path / "a.nii.gz")


@pytest.mark.faults
@pytest.mark.parametrize("bomb", ["header bomb", "NIfTI-2 header bomb", "ratio bomb", "offset bomb"])
def test_bombs_are_refused_before_memory_is_taken(tmp_path, bomb, record_fault):
    name, make, _ = BAD[bomb]
    path = tmp_path / name
    path.write_bytes(make())
    tracemalloc.start()
    with pytest.raises(ReadError):
        nifti.read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    record_fault(f"NIfTI: memory of a {bomb}", "refused with less than 1 MiB allocated")


def test_any_truncation_of_a_gzip_file_is_refused(tmp_path, rewrite):
    content, path = gzip.compress(content_of()), tmp_path / "a.nii.gz"
    for length in range(len(content)):
        rewrite(path, content[:length])
        with pytest.raises(ReadError):
            nifti.read_volume(path)


@pytest.mark.faults
def test_any_flipped_byte_of_a_gzip_file_is_refused_or_changes_nothing(tmp_path, rewrite, record_fault):
    content, path = gzip.compress(content_of()), tmp_path / "a.nii.gz"
    unharmed = []
    for index in range(len(content)):
        rewrite(path, content[:index] + bytes([content[index] ^ 0xFF]) + content[index + 1 :])
        try:
            example = nifti.read_volume(path)
        except ReadError:
            continue
        unharmed.append(index)
        np.testing.assert_array_equal(orientation.from_canonical(example.image, AFFINE), VOLUME)
    # Time stamp, compression level and operating system in gzip's own header carry no voxels.
    assert unharmed == [4, 5, 6, 7, 8, 9]
    record_fault(
        "NIfTI: each byte of a .nii.gz flipped in turn",
        f"{len(content) - len(unharmed)} refused, {len(unharmed)} without effect (gzip's time stamp)",
    )


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_any_damage_of_the_header_ends_in_a_read_error_or_a_finite_volume(tmp_path, rewrite, flip):
    content, path = content_of(), tmp_path / "a.nii"
    outcomes = set()
    for index in range(348):
        rewrite(path, content[:index] + bytes([content[index] ^ flip]) + content[index + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                example = nifti.read_volume(path)
            except ReadError:
                outcomes.add("refused")
                continue
        assert np.isfinite(example.image).all()
        assert np.isfinite(example.affine).all()
        outcomes.add("read")
    assert outcomes == {"refused", "read"}


@pytest.mark.faults
def test_volume_without_qform_and_sform_is_read_with_a_warning(tmp_path, record_fault):
    path = tmp_path / "a.nii"
    path.write_bytes(edited(sform_code=0, qform_code=0))
    with pytest.warns(UserWarning, match="neither qform nor sform.*LAS") as warned:
        example = nifti.read_volume(path)
    assert example.spacing_mm == (2.0, 0.75, 0.5)
    said = str(warned[0].message).removeprefix(f"{path}: ")
    record_fault("NIfTI: neither qform nor sform", f"warning: {said}")


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_volume_matches_nibabel_in_canonical_order(tmp_path, write_nifti, codes):
    array = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    affine = affine_of(codes)
    path = write_nifti(tmp_path / "a.nii.gz", array, affine)
    example = nifti.read_volume(path)
    # nibabel's canonical order is RAS; ours is its axes reversed, the last two also in direction.
    expected = nib.as_closest_canonical(nib.load(path))
    np.testing.assert_array_equal(example.image, expected.get_fdata().transpose(2, 1, 0)[:, ::-1, ::-1])
    assert example.image.dtype == np.float32
    assert example.image.flags.c_contiguous
    assert example.source_shape == (3, 4, 5)
    np.testing.assert_allclose(example.source_affine, affine, rtol=1e-6)
    assert example.subject == "a"


@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_every_stored_type_is_scaled_as_nibabel_does(tmp_path, image_class, byte_order, dtype):
    header = image_class.header_class(endianness=byte_order)
    header.set_data_dtype(dtype)
    content = image_class(VOLUME.astype(dtype), AFFINE, header).to_bytes()
    content = edited(image_class.header_class, content, scl_slope=0.5, scl_inter=-1024)
    path = tmp_path / "a.nii"
    path.write_bytes(content)
    example = nifti.read_volume(path)
    np.testing.assert_array_equal(
        orientation.from_canonical(example.image, AFFINE), nib.load(path).get_fdata().astype(np.float32)
    )


def test_last_axis_of_size_one_is_squeezed(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii", VOLUME[..., None], AFFINE)
    assert nifti.read_volume(path).source_shape == VOLUME.shape


def test_frames_of_a_file_of_several_volumes(tmp_path, write_nifti):
    frames = np.random.default_rng(0).integers(0, 5, (4, 3, 2, 6)).astype(np.uint8)
    many = write_nifti(tmp_path / "many.nii.gz", frames)
    for number in (0, 5):
        one = write_nifti(tmp_path / f"{number}.nii.gz", np.ascontiguousarray(frames[..., number]))
        wanted, found = nifti.read_volume(one), nifti.read_volume(many, frame=number)
        np.testing.assert_array_equal(found.image, wanted.image)
        np.testing.assert_array_equal(found.affine, wanted.affine)
        label = nifti.read_label(many, found, frame=number)
        np.testing.assert_array_equal(label, nifti.read_label(one, wanted))
    with pytest.raises(ReadError, match="found 6 volumes; wanted one with the number 6"):
        nifti.read_volume(many, frame=6)
    with pytest.raises(ReadError, match="found 3 dimensions"):
        nifti.read_volume(one, frame=0)


def test_zero_slope_is_read_as_stored_on_request(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(edited(scl_slope=0))
    example = nifti.read_volume(path, accept_zero_slope=True)
    np.testing.assert_array_equal(orientation.from_canonical(example.image, AFFINE), VOLUME)


@pytest.mark.faults
def test_nonfinite_voxels_become_the_smallest_finite_value_on_request(tmp_path, write_nifti, record_fault):
    array = np.array([3.0, np.nan, -np.inf, np.inf, -7.0, 5.0]).reshape(1, 2, 3)
    example = nifti.read_volume(write_nifti(tmp_path / "a.nii", array), replace_nonfinite=True)
    assert sorted(example.image.ravel()) == [-7, -7, -7, -7, 3, 5]
    nothing = write_nifti(tmp_path / "b.nii", np.full((2, 2, 2), np.nan))
    with pytest.raises(ReadError, match="8 of 8 voxels"):
        nifti.read_volume(nothing, replace_nonfinite=True)
    record_fault("NIfTI: 3 of 6 voxels not finite, to be replaced", "set to the lowest finite value, -7")


def test_pair_in_two_axis_orders_of_one_grid(tmp_path, write_nifti):
    image = write_nifti(tmp_path / "image.nii.gz", VOLUME, AFFINE)
    # Stored (k, i, j) with the first axis reversed: voxel (a, b, c) is voxel (b, c, 3 - a) of the image.
    stored = (VOLUME > 11).transpose(2, 0, 1)[::-1].astype(np.uint8)
    to_image_index = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 3], [0, 0, 0, 1]])
    label = write_nifti(tmp_path / "mask.nii.gz", stored, AFFINE @ to_image_index)
    example = nifti.read_pair(image, label, num_classes=2)
    np.testing.assert_array_equal(example.label, example.image > 11)
    assert example.label.dtype == np.uint8


BAD_LABELS = {
    "shape": (np.zeros((2, 3, 5), np.uint8), AFFINE, "mask of canonical shape"),
    "affine": (np.zeros((2, 3, 4), np.uint8), AFFINE + 2e-3 * np.eye(4, k=3), "differs .* by 0.002"),
    "out of range": (np.full((2, 3, 4), 2, np.uint8), AFFINE, "labels from 2 to 2; wanted .* 0 to 1"),
    "negative": (np.full((2, 3, 4), -1, np.int16), AFFINE, "labels from -1"),
    "fraction": (np.full((2, 3, 4), 0.5, np.float32), AFFINE, "not whole numbers"),
    "NaN": (np.full((2, 3, 4), np.nan, np.float32), AFFINE, "not whole numbers"),
}


@pytest.mark.faults
@pytest.mark.parametrize(("array", "affine", "message"), BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_bad_labels_are_refused(tmp_path, write_nifti, array, affine, message, record_fault, request):
    image = write_nifti(tmp_path / "image.nii", VOLUME, AFFINE)
    label = write_nifti(tmp_path / "mask.nii", array, affine)
    with pytest.raises(ReadError, match=message) as caught:
        nifti.read_pair(image, label, num_classes=2)
    assert caught.value.file == label
    record_fault(f"NIfTI mask: {request.node.callspec.id}", f"found {caught.value.found}")


def test_affine_tolerance(tmp_path, write_nifti):
    example = nifti.read_volume(write_nifti(tmp_path / "image.nii", VOLUME, AFFINE))
    label = write_nifti(tmp_path / "mask.nii", VOLUME.astype(np.uint8), AFFINE + 5e-4 * np.eye(4, k=3))
    assert nifti.read_label(label, example).max() == 23
    with pytest.raises(ReadError, match="affine"):
        nifti.read_label(label, example, affine_tolerance=1e-4)


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_written_mask_lies_on_the_grid_of_its_file(tmp_path, write_nifti, codes, name):
    affine = affine_of(codes)
    example = nifti.read_volume(write_nifti(tmp_path / "image.nii", VOLUME, affine))
    nifti.write_mask(tmp_path / name, example.image > 11, example)
    written = nib.load(tmp_path / name)
    np.testing.assert_array_equal(np.asarray(written.dataobj), VOLUME > 11)
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_allclose(written.affine, affine, atol=1e-6)
    np.testing.assert_allclose(written.get_qform(), affine, atol=1e-5)
    np.testing.assert_array_equal(
        nifti.read_label(tmp_path / name, example, num_classes=2), example.image > 11
    )


def test_failed_write_leaves_the_old_mask_and_no_other_file(tmp_path, write_nifti, monkeypatch):
    example = nifti.read_volume(write_nifti(tmp_path / "image.nii", VOLUME, AFFINE))
    path = tmp_path / "mask.nii.gz"
    nifti.write_mask(path, example.image > 11, example)
    before = path.read_bytes()

    def full_disk(_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        nifti.write_mask(path, example.image > 5, example)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["image.nii", "mask.nii.gz"]


def test_masks_that_do_not_belong_to_the_file_are_refused(tmp_path, write_nifti):
    example = nifti.read_volume(write_nifti(tmp_path / "image.nii", VOLUME, AFFINE))
    mask = np.zeros(example.image.shape, np.uint8)
    path = tmp_path / "mask.nii"
    resampled = preprocess.resample_in_plane(example, 0.6)
    for bad_path, bad_mask, bad_example, message in (
        (path, mask[:1], example, "wanted \\(4, 3, 2\\)"),
        (path, np.zeros(resampled.image.shape, np.uint8), resampled, "resampled"),
        (path, mask + 0.5, example, "whole numbers"),
        (path, mask.astype(int) - 1, example, "labels from -1"),
        (tmp_path / "mask.png", mask, example, "file name"),
    ):
        with pytest.raises(ValueError, match=message):
            nifti.write_mask(bad_path, bad_mask, bad_example)
    assert not path.exists()


def test_real_volumes_match_nibabel_and_their_masks_return_exactly(tmp_path, real_data):
    image_path = real_data / "mrct_sts_pairs" / "STS_015_CT_image.nii.gz"
    label_path = real_data / "mrct_sts_pairs" / "STS_015_CT_mask.nii.gz"
    example = nifti.read_pair(image_path, label_path, num_classes=2)
    expected = nib.as_closest_canonical(nib.load(image_path)).get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(example.image, expected.transpose(2, 1, 0)[:, ::-1, ::-1])
    assert (example.image.min(), example.image.max()) == (-1000, 1460)
    nifti.write_mask(tmp_path / "mask.nii.gz", example.label, example)
    written, original = nib.load(tmp_path / "mask.nii.gz"), nib.load(label_path)
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(original.dataobj))
    np.testing.assert_allclose(written.affine, original.affine, atol=1e-4)
