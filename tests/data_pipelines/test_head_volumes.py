"""Heads on the grid: where files end up, in which direction, and which files are refused."""

import nibabel as nib
import numpy as np
import pytest

from data_pipelines import head_volumes
from data_pipelines.example import Example
from data_pipelines.readers import nifti
from data_pipelines.readers.errors import ReadError

SHAPE = (10, 12, 14)


def blob(shape, centre, radius):
    axes = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
    distance = sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True))
    return np.maximum(1 - np.sqrt(distance) / radius, 0).astype(np.float32)


def test_grid_order_is_left_right_then_upwards_then_backwards():
    volume = np.arange(24).reshape(2, 3, 4)
    turned = head_volumes.to_grid(volume)
    assert turned.shape == (4, 2, 3)
    assert turned[3, 1, 2] == volume[1, 2, 3]
    np.testing.assert_array_equal(head_volumes.from_grid(turned), volume)


def test_intensities_end_at_the_percentile_of_the_brain():
    image = np.concatenate([np.zeros(500), np.linspace(1, 1000, 1000)])
    scaled = head_volumes.scale_intensity(image)
    assert scaled.dtype == np.uint8
    assert (scaled[:500] == 0).all() and (scaled[-5:] == 255).all()
    assert scaled[1000] == pytest.approx(255 * 501 / 995, abs=1)
    assert (head_volumes.scale_intensity(np.zeros(3)) == 0).all()


def test_phantoms_have_their_ventricles():
    source = head_volumes.phantoms(2, SHAPE, first=7)
    arrays = source.build(source.cases[1])
    assert source.cases == ("head-00007", "head-00008")
    assert arrays["image"].shape == SHAPE and arrays["image"].dtype == np.uint8
    assert arrays["image"].max() == 255
    assert 5 < arrays["ventricle_ml"] < 120


def test_a_volume_is_centred_and_its_affine_finds_it_again():
    image, centre = blob((40, 60, 30), (12, 35, 18), 9), np.array([12, 35, 18])
    affine = head_volumes.standard_affine(image.shape, (4.0, 5.0, 6.0))
    example = Example("one", image, spacing_mm=(4.0, 5.0, 6.0), affine=affine)
    found = head_volumes.place(example, SHAPE)
    assert found.image.shape == SHAPE
    volume = head_volumes.from_grid(found.image).astype(float)
    index = [(axis * volume).sum() / volume.sum() for axis in np.indices(volume.shape)]
    np.testing.assert_allclose(index, (np.array(volume.shape) - 1) / 2, atol=0.05)
    world = found.affine @ [*index, 1]
    np.testing.assert_allclose(world, affine @ [*centre, 1], atol=1)
    np.testing.assert_allclose(np.linalg.norm(found.affine[:3, :3], axis=0), 16)


def test_volumes_that_fit_the_grid_are_not_resampled():
    image = blob((12, 14, 10), (5.5, 6.5, 4.5), 4)
    found = head_volumes.place(Example("one", image, spacing_mm=(16.0, 16.0, 16.0)), SHAPE)
    wanted = head_volumes.to_grid(head_volumes.scale_intensity(image))
    assert np.abs(found.image.astype(int) - wanted).max() <= 1


def test_an_empty_volume_is_refused():
    example = Example("empty", np.zeros((4, 4, 4), np.float32), spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(ReadError, match="no voxel above 0"):
        head_volumes.place(example, SHAPE)


def test_a_folder_of_nifti_and_npz_is_read(tmp_path):
    image = blob((20, 24, 28), (10, 12, 14), 9)
    image[:, 12:, :14] *= 0.5
    np.savez_compressed(tmp_path / "first.npz", vol_data=image[None, :, ::-1, ::-1, None])
    volume = head_volumes.from_grid(image)
    affine = head_volumes.standard_affine(volume.shape, (8.0, 8.0, 8.0))
    nifti.write_volume(tmp_path / "second.nii.gz", volume, affine)
    (tmp_path / ".hidden.nii").write_bytes(b"")
    source = head_volumes.files(tmp_path, SHAPE)
    assert source.cases == ("first", "second")
    first, second = (source.build(name)["image"] for name in source.cases)
    np.testing.assert_array_equal(first, second)


def test_a_written_volume_is_read_again_where_it_was(tmp_path):
    volume = np.random.default_rng(0).random((3, 4, 5), np.float32)
    affine = head_volumes.standard_affine(volume.shape, (3.0, 2.0, 1.0))
    nifti.write_volume(tmp_path / "one.nii.gz", volume, affine)
    assert nib.aff2axcodes(nib.load(tmp_path / "one.nii.gz").affine) == ("L", "P", "S")
    example = nifti.read_volume(tmp_path / "one.nii.gz")
    np.testing.assert_array_equal(example.image, volume)
    np.testing.assert_allclose(example.affine, affine, atol=1e-6)
    with pytest.raises(ValueError, match="wanted one ending in"):
        nifti.write_volume(tmp_path / "one.img", volume, affine)
    with pytest.raises(ValueError, match="wanted \\(depth, height, width\\)"):
        nifti.write_volume(tmp_path / "one.nii", volume[0], affine)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": np.zeros((5, 6, 7))}, "wanted one called vol_data or vol"),
        ({"vol": np.zeros((5, 6, 8))}, "found shape"),
        ({"vol": np.zeros((5, 6))}, "found shape"),
        ({"vol": np.zeros((5, 6, 7), complex)}, "found shape"),
    ],
)
def test_other_archives_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "one.npz", **arrays)
    with pytest.raises(ReadError, match=message):
        head_volumes.HeadCase("one", tmp_path / "one.npz").read()


def test_folders_without_volumes_or_with_two_of_a_name_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no volume"):
        head_volumes.find_cases(tmp_path)
    for name in ("one.nii", "one.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ReadError, match=r"the case of one.nii again"):
        head_volumes.find_cases(tmp_path)
