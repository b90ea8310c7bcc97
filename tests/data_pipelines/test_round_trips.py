"""Files of any orientation and spacing: read, processed and written back, every voxel is where it was."""

import itertools
from dataclasses import replace

import nibabel as nib
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipelines import preprocess
from data_pipelines.example import Example
from data_pipelines.own_grid import segment_on_own_grid
from data_pipelines.readers import dicom, nifti

DIRECTIONS = dict(zip("RAS", np.eye(3), strict=True)) | dict(zip("LPI", -np.eye(3), strict=True))
ORIENTATIONS = [
    "".join(letters)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*axes)
]
spacings = st.floats(0.3, 6.0).map(lambda value: round(value, 3))
coordinates = st.floats(-500, 500).map(lambda value: round(value, 2))
# The fixtures only name a folder and functions.
of_files = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def grids(draw, oblique=True):
    """A shape and an affine of one of the 48 orientations, with its own spacing and tilt."""
    axes = np.column_stack([DIRECTIONS[letter] for letter in draw(st.sampled_from(ORIENTATIONS))])
    angle = draw(st.floats(-0.3, 0.3)) if oblique else 0.0
    turn = nib.quaternions.angle_axis2mat(angle, [3, 1, 2], is_normalized=False)
    affine = np.eye(4)
    affine[:3, :3] = turn @ axes @ np.diag(draw(st.tuples(spacings, spacings, spacings)))
    affine[:3, 3] = draw(st.tuples(coordinates, coordinates, coordinates))
    return draw(st.tuples(st.integers(2, 5), st.integers(2, 6), st.integers(2, 6))), affine


def numbered(shape):
    """Every voxel has a value of its own."""
    return np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.int16)


def world(affine, indices):
    return np.asarray(indices) @ affine[:3, :3].T + affine[:3, 3]


def places(volume):
    """Indices of the voxels in the order of their values."""
    return np.array(np.unravel_index(np.argsort(volume, axis=None), volume.shape)).T


@of_files
@given(grid=grids(), data=st.data())
def test_nifti_keeps_world_coordinates_and_masks_return(tmp_path, grid, data):
    shape, affine = grid
    volume = numbered(shape)
    suffix = data.draw(st.sampled_from([".nii", ".nii.gz"]))
    image = nib.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / f"image{suffix}")
    example = nifti.read_volume(tmp_path / f"image{suffix}")
    np.testing.assert_allclose(
        world(example.affine, places(example.image)), world(affine, places(volume)), atol=1e-3
    )
    np.testing.assert_allclose(
        np.sort(example.spacing_mm), np.sort(nib.affines.voxel_sizes(affine)), rtol=1e-5
    )
    threshold = data.draw(st.integers(0, volume.size))
    nifti.write_mask(tmp_path / f"mask{suffix}", example.image >= threshold, example)
    written = nib.load(tmp_path / f"mask{suffix}")
    np.testing.assert_array_equal(np.asarray(written.dataobj), volume >= threshold)
    np.testing.assert_allclose(written.affine, affine, atol=1e-4)


@of_files
@given(grid=grids(), data=st.data())
def test_a_mask_made_on_finer_pixels_returns_to_the_file(tmp_path, grid, data):
    """Thirds of a pixel: the nearest new pixel lies in the same old one, so nothing may change."""
    shape, affine = grid
    volume = (
        np.random.default_rng(data.draw(st.integers(0, 99))).choice([-1000, 1000], shape).astype(np.int16)
    )
    nib.save(nib.Nifti1Image(volume, affine), tmp_path / "image.nii")
    example = nifti.read_volume(tmp_path / "image.nii")
    resampled = preprocess.resample_in_plane(example, min(example.spacing_mm[1:]) / 3)
    labelled = replace(example, label=(example.image > 0).astype(np.uint8))
    label = preprocess.resample_in_plane(labelled, resampled.spacing_mm[1]).label
    size = (max(64, label.shape[1]), max(64, label.shape[2]))
    padded, before = preprocess.pad_or_crop_in_plane(label, size, 0)
    back = preprocess.undo_pad_or_crop(padded, before)
    np.testing.assert_array_equal(back, label)
    mask = preprocess.resample_mask_to(back, resampled.affine, example)
    nifti.write_mask(tmp_path / "mask.nii", mask, example)
    written = nib.load(tmp_path / "mask.nii")
    np.testing.assert_array_equal(np.asarray(written.dataobj), volume > 0)


@settings(max_examples=40)
@given(grid=grids(oblique=False), factor=st.sampled_from([1.0, 1 / 3, 1 / 5]), min_size=st.integers(1, 40))
def test_segmenting_on_its_own_grid_keeps_shape_and_constant_regions(grid, factor, min_size):
    shape, affine = grid
    spacing = nib.affines.voxel_sizes(affine)
    image = np.full(shape, -1000, np.float32)
    image[1:] = 500
    example = Example("case", image, spacing_mm=tuple(spacing), affine=affine)
    mask = segment_on_own_grid(
        example,
        lambda volume: volume > -250,
        pixel_mm=float(spacing[1:].min()) * factor,
        min_size=min_size,
        fill=-1000,
    )
    assert (mask.shape, mask.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(mask, image > 0)


@of_files
@given(grid=grids(), order=st.permutations(range(6)))
def test_dicom_keeps_world_coordinates_and_masks_return(tmp_path_factory, write_slice, grid, order):
    (columns, rows, _), affine = grid
    shape = (columns, rows, 6)
    volume = numbered(shape)
    folder = tmp_path_factory.mktemp("series")
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = nib.affines.voxel_sizes(affine)
    across = lps[:3, :3] / spacing
    for name, index in enumerate(order):
        write_slice(
            folder / f"{name}.dcm",
            volume[:, :, index].T,
            [f"{value:.9g}" for value in world(lps, (0, 0, index))],
            ImageOrientationPatient=[f"{value:.12f}" for value in (*across[:, 0], *across[:, 1])],
            PixelSpacing=[f"{spacing[1]:.9g}", f"{spacing[0]:.9g}"],
            RescaleIntercept=0,
        )
    example = dicom.read_series(folder)
    assert sorted(example.image.ravel()) == sorted(volume.ravel())
    np.testing.assert_allclose(
        world(example.affine, places(example.image)), world(affine, places(volume)), atol=1e-3
    )
    nifti.write_mask(folder / "mask.nii", example.image > volume.size // 2, example)
    written = nib.load(folder / "mask.nii")
    marked = np.argwhere(np.asarray(written.dataobj) > 0)
    expected = world(affine, np.argwhere(volume > volume.size // 2))
    found = world(written.affine, marked)
    np.testing.assert_allclose(
        found[np.lexsort(found.round(2).T)], expected[np.lexsort(expected.round(2).T)], atol=2e-3
    )


@given(
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_what_padding_and_cropping_keep_returns_and_the_rest_is_filled(shape, size):
    array = 1 + np.arange(np.prod(shape)).reshape(shape)
    changed, before = preprocess.pad_or_crop_in_plane(array, size, 0)
    assert changed.shape == (shape[0], *size)
    back = preprocess.undo_pad_or_crop(changed, before)
    assert back.shape == shape
    kept = back > 0
    np.testing.assert_array_equal(back[kept], array[kept])
    assert kept.sum() == shape[0] * min(shape[1], size[0]) * min(shape[2], size[1])
