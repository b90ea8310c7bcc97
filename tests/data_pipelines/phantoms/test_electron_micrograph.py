import numpy as np

from data_pipelines.phantoms import electron_micrograph

SHAPE, VOXEL_NM = (40, 40, 40), 25.0


def test_same_seed_same_block_and_others_differ():
    image, label = electron_micrograph.draw_block(0, SHAPE, VOXEL_NM)
    again, _ = electron_micrograph.draw_block(0, SHAPE, VOXEL_NM)
    np.testing.assert_array_equal(image, again)
    assert image.shape == label.shape == SHAPE
    assert not np.array_equal(label, electron_micrograph.draw_block(1, SHAPE, VOXEL_NM)[1])


def test_mitochondria_are_rare_and_stained_but_not_the_only_dark_things():
    blocks = [electron_micrograph.draw_block(seed, SHAPE, VOXEL_NM) for seed in range(8)]
    share = np.mean([label.mean() for _, label in blocks])
    assert 0.03 < share < 0.15
    inside = np.concatenate([image[label == 1] for image, label in blocks])
    outside = np.concatenate([image[label == 0] for image, label in blocks])
    assert inside.mean() < outside.mean() - 0.15
    dark = np.median(inside)
    # Membranes and granules: an intensity threshold finds as many voxels outside as a tenth of those inside.
    assert (outside < dark).sum() > 0.1 * (inside < dark).sum()


def test_no_direction_is_preferred():
    """Gradients have the same mean square along the three axes, over several blocks."""
    squares = []
    for seed in range(6):
        image, _ = electron_micrograph.draw_block(seed, SHAPE, VOXEL_NM)
        squares.append([np.square(part).mean() for part in np.gradient(image)])
    along = np.mean(squares, axis=0)
    np.testing.assert_allclose(along / along.mean(), 1, atol=0.06)


def test_size_in_nm_does_not_depend_on_the_voxels():
    """Half the voxel size, twice the voxels: about the same share is mitochondria."""
    fine = np.mean([electron_micrograph.draw_block(seed, (60, 60, 60), 15.0)[1].mean() for seed in range(6)])
    coarse = np.mean(
        [electron_micrograph.draw_block(seed, (30, 30, 30), 30.0)[1].mean() for seed in range(6)]
    )
    assert 0.4 < fine / coarse < 2.5
