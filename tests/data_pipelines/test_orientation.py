import itertools

import nibabel as nib
import numpy as np
import pytest

from data_pipelines import orientation

DIRECTIONS = dict(zip("RAS", np.eye(3), strict=True)) | dict(zip("LPI", -np.eye(3), strict=True))
ORIENTATIONS = [
    "".join(letters)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*axes)
]


def affine_of(codes, tilt=0.0):
    """Affine of anisotropic voxels along the given directions, turned by `tilt` about an oblique axis."""
    direction = np.column_stack([DIRECTIONS[letter] for letter in codes])
    turn = nib.quaternions.angle_axis2mat(tilt, [1, 2, 3], is_normalized=False)
    affine = np.eye(4)
    affine[:3, :3] = turn @ direction @ np.diag([0.5, 0.75, 2.0])
    affine[:3, 3] = [-11.0, 7.0, 3.0]
    return affine


def world_by_value(volume, affine):
    """World coordinates of the voxels, in the order of their values, which are all different."""
    indices = np.array(np.unravel_index(np.argsort(volume, axis=None), volume.shape))
    return (affine[:3, :3] @ indices).T + affine[:3, 3]


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("tilt", [0.0, 0.3])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_canonical_volumes_keep_world_coordinates_and_return_exactly(codes, tilt):
    volume = np.random.default_rng(0).permutation(24).reshape(2, 3, 4)
    affine = affine_of(codes, tilt)
    assert orientation.axis_codes(affine) == codes
    canonical, canonical_affine = orientation.to_canonical(volume, affine)
    assert orientation.axis_codes(canonical_affine) == "SPL"
    np.testing.assert_allclose(
        world_by_value(canonical, canonical_affine), world_by_value(volume, affine), atol=1e-12
    )
    assert orientation.canonical_grid(volume.shape, affine)[0] == canonical.shape
    np.testing.assert_array_equal(orientation.from_canonical(canonical, affine), volume)


def test_canonical_ras_volume_by_hand():
    volume = np.arange(24).reshape(2, 3, 4)
    canonical, affine = orientation.to_canonical(volume, np.diag([2.0, 3.0, 4.0, 1.0]))
    # depth = z, height = y backwards, width = x backwards.
    assert canonical.shape == (4, 3, 2)
    assert canonical[1, 0, 0] == volume[1, 2, 1]
    np.testing.assert_array_equal(affine, [[0, 0, -2, 2], [0, -3, 0, 6], [4, 0, 0, 0], [0, 0, 0, 1]])
    assert orientation.voxel_sizes(affine) == (4.0, 3.0, 2.0)
