import numpy as np
import pytest

from data_pipelines.phantoms import chest_vessels
from data_pipelines.phantoms.chest_vessels import Tubes
from data_pipelines.phantoms.smooth_noise import SmoothNoise

OFFSET_MM = (np.arange(48) - 23.5).astype(np.float32)


def _tree(num_terminals=60):
    rng = np.random.default_rng(2)
    terminals = rng.uniform(-40, 40, (num_terminals, 3))
    root = np.array([60.0, 0.0, 0.0])
    return chest_vessels.grow_tree(rng, root, terminals, 0.5), root, terminals


def test_tree_starts_at_the_root_and_reaches_every_terminal():
    tree, root, terminals = _tree()
    np.testing.assert_array_equal(tree.start[0], root)
    gap = np.linalg.norm(tree.end[None] - terminals[:, None], axis=-1).min(axis=1)
    np.testing.assert_allclose(gap, 0, atol=1e-9)


def test_every_piece_continues_another_one():
    tree, root, _ = _tree()
    starts = tree.start[np.linalg.norm(tree.start - root, axis=1) > 0]
    gap = np.linalg.norm(starts[:, None] - tree.end[None], axis=-1).min(axis=1)
    np.testing.assert_allclose(gap, 0, atol=1e-9)


def test_radius_grows_with_the_number_of_terminals():
    tree, _, terminals = _tree()
    assert tree.radius_mm.min() == 0.5
    assert tree.radius_mm.max() == pytest.approx(0.5 * len(terminals) ** chest_vessels.FORK_EXPONENT)
    assert np.linalg.norm(tree.end - tree.start, axis=1).max() <= chest_vessels.PIECE_MM + 1e-9


def _straight(axis, radius):
    """A tube of 20 mm through the middle, cut into pieces of 4 mm."""
    start = np.zeros((5, 3))
    start[:, axis] = np.arange(5) * 4 - 10
    return Tubes(start, start + 4 * np.eye(3)[axis], np.full(5, radius))


@pytest.mark.parametrize("radius", [0.3, 0.55, 0.8, 2.5])
def test_cross_section_of_a_tube_across_the_slice_keeps_its_area(radius):
    share = chest_vessels.tube_coverage(_straight(2, radius), 0.3, OFFSET_MM + 0.2, 1.0)
    assert share.sum() == pytest.approx(np.pi * radius**2, rel=0.04)


def test_tube_in_the_slice_is_as_wide_as_its_diameter():
    share = chest_vessels.tube_coverage(_straight(0, 2.5), 0.0, OFFSET_MM, 1.0)
    np.testing.assert_allclose(share[:, 20:28].sum(axis=0), 5.0, atol=0.04)
    assert share[:, :8].max() == 0


def test_slice_beside_a_tube_is_empty():
    assert chest_vessels.tube_coverage(_straight(0, 2.5), 3.1, OFFSET_MM, 1.0).max() == 0


def test_tubes_outside_of_the_image_leave_no_trace():
    tubes, far = _straight(2, 2.0), np.array([80.0, 0, 0])
    moved = Tubes(tubes.start + far, tubes.end + far, tubes.radius_mm)
    assert chest_vessels.tube_coverage(moved, 0.0, OFFSET_MM, 1.0).max() == 0


def test_displacement_follows_the_fields():
    fields = tuple(SmoothNoise(np.random.default_rng(seed), 45.0) for seed in (0, 1))
    tubes = _straight(2, 1.0)
    moved = chest_vessels.displaced(tubes, fields, 3.0)
    np.testing.assert_allclose(moved.start[:, 1] - tubes.start[:, 1], 3 * fields[1].at(tubes.start))
    np.testing.assert_array_equal(moved.start[:, 2], tubes.start[:, 2])


def test_draw_tubes_fills_both_lungs_from_their_own_hilum():
    rng = np.random.default_rng(4)
    sites = rng.uniform(20, 100, (400, 3)) * np.where(rng.random((400, 1)) < 0.5, 1, [-1, 1, 1])
    vessels, bronchi = chest_vessels.draw_tubes(
        rng, ((-20.0, 0.0, 0.0), (20.0, 0.0, 0.0)), sites, np.full(400, 30.0)
    )
    assert set(np.sign(vessels.end[:, 0])) == {-1.0, 1.0}
    assert len(bronchi.radius_mm) < len(vessels.radius_mm)
    assert (chest_vessels.widened(bronchi).radius_mm > bronchi.radius_mm + 0.3).all()
