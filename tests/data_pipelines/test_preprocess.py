import numpy as np
import pytest

from data_pipelines import preprocess
from data_pipelines.example import Example
from data_pipelines.readers import nifti


def plane(affine, shape):
    """A linear function of the world coordinates, sampled at the voxel centres."""
    indices = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ indices + affine[:3, 3:]
    return (np.array([1.0, -2.0, 0.5]) @ world + 3).reshape(shape).astype(np.float32)


def example_of(shape=(3, 10, 12), spacing=(5.0, 0.8, 0.5)):
    affine = np.array([[0, 0, -1, 20], [0, -1, 0, 30], [1, 0, 0, 40], [0, 0, 0, 1]]) @ np.diag([*spacing, 1])
    image = plane(affine, shape)
    label = (np.arange(image.size).reshape(shape) % 3).astype(np.uint8)
    return Example("case", image, label, spacing, affine, affine, shape[::-1])


@pytest.mark.parametrize("spacing_mm", [0.3, 0.8, 1.1])
def test_resampled_voxels_hold_the_value_of_their_world_coordinates(spacing_mm):
    example = example_of()
    resampled = preprocess.resample_in_plane(example, spacing_mm)
    expected = plane(resampled.affine, resampled.image.shape)
    # Linear interpolation is exact for a linear function, away from the border, which is continued.
    inside = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(resampled.image[inside], expected[inside], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(resampled.affine[:3, :3], axis=0), [5, spacing_mm, spacing_mm])
    assert resampled.spacing_mm == (5.0, spacing_mm, spacing_mm)
    assert resampled.image.shape == (3, round(10 * 0.8 / spacing_mm), round(12 * 0.5 / spacing_mm))
    assert resampled.image.dtype == np.float32


def test_depth_is_resampled_like_the_other_axes():
    example = example_of(shape=(8, 9, 10), spacing=(2.0, 0.8, 0.5))
    resampled = preprocess.resample(example, (0.7, 0.7, None))
    assert resampled.image.shape == (round(8 * 2 / 0.7), round(9 * 0.8 / 0.7), 10)
    assert resampled.spacing_mm == (0.7, 0.7, 0.5)
    expected = plane(resampled.affine, resampled.image.shape)
    inside = (slice(2, -2), slice(2, -2), slice(None))
    np.testing.assert_allclose(resampled.image[inside], expected[inside], atol=1e-4)


def test_the_field_of_view_keeps_its_centre():
    example = example_of()
    resampled = preprocess.resample_in_plane(example, 0.37)
    centres = [one.affine @ [*((np.array(one.image.shape) - 1) / 2), 1] for one in (example, resampled)]
    np.testing.assert_allclose(centres[0], centres[1], atol=1e-9)


def test_own_spacing_changes_nothing():
    example = example_of(spacing=(5.0, 0.7, 0.7))
    resampled = preprocess.resample_in_plane(example, 0.7)
    np.testing.assert_array_equal(resampled.image, example.image)
    np.testing.assert_array_equal(resampled.label, example.label)
    np.testing.assert_array_equal(resampled.affine, example.affine)


def test_labels_take_the_nearest_voxel():
    label = np.array([[[0, 1, 2, 7]]], np.uint8)
    example = Example("case", label.astype(np.float32), label, (1.0, 1.0, 1.0))
    resampled = preprocess.resample_in_plane(example, 1 / 3)
    np.testing.assert_array_equal(resampled.label, np.repeat([0, 1, 2, 7], 3)[None, None].repeat(3, axis=1))
    assert resampled.label.dtype == np.uint8
    assert resampled.affine is None


def test_what_cannot_be_resampled_is_refused():
    with pytest.raises(ValueError, match="case: found an image of shape"):
        preprocess.resample_in_plane(Example("case", np.zeros((4, 4))), 1.0)
    for spacing_mm in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="wanted a positive number"):
            preprocess.resample_in_plane(example_of(), spacing_mm)


@pytest.mark.parametrize("size", [(4, 4), (5, 5), (6, 6), (9, 9), (10, 10), (4, 9), (7, 3)])
@pytest.mark.parametrize("shape", [(2, 6, 7), (5, 8)])
def test_what_padding_and_cropping_keep_comes_back_to_its_place(shape, size):
    array = np.arange(1, 1 + np.prod(shape), dtype=np.int16).reshape(shape)
    changed, window = preprocess.pad_or_crop_in_plane(array, size, -1000)
    assert changed.shape == (*shape[:-2], *size)
    assert changed.dtype == array.dtype
    back = preprocess.undo_pad_or_crop(changed, window, -1000)
    kept = np.isin(array, changed)
    np.testing.assert_array_equal(back, np.where(kept, array, -1000))
    assert kept.sum() == (changed != -1000).sum()


def test_padding_and_cropping_by_hand():
    row = np.array([[1, 2, 3]])
    assert preprocess.pad_or_crop_in_plane(row, (1, 6), 0)[0].tolist() == [[0, 1, 2, 3, 0, 0]]
    assert preprocess.pad_or_crop_in_plane(row, (1, 2), 0)[0].tolist() == [[1, 2]]
    assert preprocess.pad_or_crop_in_plane(row, (2, 3), 9)[0].tolist() == [[1, 2, 3], [9, 9, 9]]
    with pytest.raises(ValueError, match="wanted positive"):
        preprocess.pad_or_crop_in_plane(row, (0, 3), 0)


def test_mask_on_its_own_grid_comes_back_unchanged():
    example = example_of()
    mask = preprocess.resample_mask_to(example.label, example.affine, example)
    np.testing.assert_array_equal(mask, example.label)
    assert mask.dtype == np.uint8


def test_mask_voxels_reach_half_a_voxel_beyond_their_centres():
    coarse = Example("case", np.zeros((1, 1, 2)), None, (1.0, 1.0, 3.0), np.diag([1.0, 1.0, 3.0, 1.0]))
    affine = np.eye(4)
    affine[2, 3] = -3
    fine = Example("case", np.zeros((1, 1, 10)), None, (1.0, 1.0, 1.0), affine)
    mask = preprocess.resample_mask_to(np.array([[[1, 2]]], np.uint8), coarse.affine, fine)
    # Mask voxels centred at 0 and 3 mm; fine voxels at -3 ... 6 mm.
    assert mask.tolist() == [[[0, 0, 1, 1, 1, 2, 2, 2, 0, 0]]]


def test_mask_of_another_axis_order():
    example = example_of((2, 3, 4), (1.0, 1.0, 1.0))
    label = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    swapped = example.affine @ np.eye(4)[[0, 2, 1, 3]]
    np.testing.assert_array_equal(
        preprocess.resample_mask_to(label.transpose(0, 2, 1), swapped, example), label
    )


def test_mask_needs_an_affine():
    with pytest.raises(ValueError, match="case: found no affine"):
        preprocess.resample_mask_to(np.zeros((1, 1, 1)), np.eye(4), Example("case", np.zeros((1, 1, 1))))


def test_prediction_returns_to_the_file(tmp_path, write_nifti):
    rng = np.random.default_rng(0)
    array = rng.integers(-1000, 1000, (24, 20, 4)).astype(np.int16)
    path = write_nifti(tmp_path / "image.nii.gz", array, np.diag([-0.8, 0.8, 5.0, 1.0]))
    original = nifti.read_volume(path)
    truth = np.zeros(original.image.shape, bool)
    truth[1:3, 5:15, 6:18] = True

    finer = preprocess.resample_in_plane(original, 0.4)
    predicted = preprocess.resample_mask_to(truth, original.affine, finer)
    padded, window = preprocess.pad_or_crop_in_plane(predicted, (64, 64), 0)
    unpadded = preprocess.undo_pad_or_crop(padded, window)
    mask = preprocess.resample_mask_to(unpadded, finer.affine, original)
    np.testing.assert_array_equal(mask, truth)
    nifti.write_mask(tmp_path / "mask.nii.gz", mask, original)
    np.testing.assert_array_equal(nifti.read_label(tmp_path / "mask.nii.gz", original), truth)


def test_real_volume_and_mask_survive_resampling(real_data):
    folder = real_data / "mrct_sts_pairs"
    example = nifti.read_pair(folder / "STS_042_CT_image.nii.gz", folder / "STS_042_CT_mask.nii.gz")
    resampled = preprocess.resample_in_plane(example, 0.5)
    mask = preprocess.resample_mask_to(resampled.label, resampled.affine, example)
    overlap = 2 * np.sum(mask & example.label) / (mask.sum() + example.label.sum())
    assert overlap > 0.99
    voxel_volume = [np.prod(one.spacing_mm) for one in (example, resampled)]
    assert resampled.label.sum() * voxel_volume[1] == pytest.approx(
        example.label.sum() * voxel_volume[0], rel=0.01
    )


def test_whole_numbers_are_rounded_and_clipped():
    values = np.array([-40000.0, -1000.4, 0.6, 40000.0], np.float32)
    np.testing.assert_array_equal(preprocess.to_int16(values), [-32768, -1000, 1, 32767])


def test_slices_are_brought_to_one_pixel_size_and_one_size():
    """A square of 4 x 4 pixels of 2 mm becomes 8 x 8 pixels of 1 mm in the middle of 12 x 12."""
    image = np.zeros((2, 8, 8), np.float32)
    image[:, 2:6, 2:6] = 100
    example = Example("square", image, label=(image > 0).astype(np.uint8), spacing_mm=(5.0, 2.0, 2.0))
    fitted = preprocess.fit_in_plane(example, 1.0, 20, fill=-1000)
    assert fitted.spacing_mm == (5.0, 1.0, 1.0)
    assert fitted.image.dtype == np.int16
    assert fitted.label.sum() == 2 * 8 * 8
    assert (fitted.label[:, 6:14, 6:14] == 1).all()
    assert (fitted.image[:, :2] == -1000).all()
    cropped = preprocess.fit_in_plane(example, 1.0, 6, fill=-1000)
    assert (cropped.image == 100).all()


def test_the_whole_field_of_view_fits_whatever_the_pixel_size():
    image = np.full((2, 40, 30), 7, np.int16)
    example = Example("a", image, label=np.ones_like(image, np.uint8), spacing_mm=(5.0, 0.5, 0.5))
    fitted = preprocess.fit_field_of_view(example, 10, -1000)
    assert fitted.image.shape == (2, 10, 10)
    assert fitted.spacing_mm == (5.0, 2.0, 2.0)
    assert fitted.label is not None
    assert (fitted.image == 7).sum(axis=(1, 2)).tolist() == [80, 80]
    np.testing.assert_array_equal(fitted.label == 1, fitted.image == 7)
