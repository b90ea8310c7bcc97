"""Cardiac views: planes cut what they should, contrasts follow the equations, sets have the right counts."""

import numpy as np
import pytest

from data_pipelines.phantoms import cardiac_anatomy, cardiac_views
from data_pipelines.phantoms.cardiac_views import KINDS

HEART = cardiac_anatomy.draw_heart(np.random.default_rng(0))


def blood_volume_ml(heart):
    grid = np.arange(-100, 110, 4.0, np.float32)
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"))
    cavity = cardiac_anatomy._cavity(heart, *np.tensordot(heart.axes, points, 1))
    return (cavity < 0).sum() * 0.064


def test_hearts_have_axes_and_volumes_of_adults():
    np.testing.assert_allclose(HEART.axes @ HEART.axes.T, np.eye(3), atol=1e-12)
    assert 70 < blood_volume_ml(HEART) < 220
    others = [cardiac_anatomy.draw_heart(np.random.default_rng(seed)) for seed in range(30)]
    assert all(heart.axes[0] @ HEART.axes[0] > 0.7 for heart in others)
    assert np.std([heart.length for heart in others]) > 3


def test_ventricles_are_disjoint_and_filled_with_what_their_names_say():
    grid = np.arange(-100, 110, 5.0, np.float32)
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"))
    parts = cardiac_anatomy.ventricles_at(HEART, points)
    assert np.sum([*parts.values()], axis=0).max() == 1
    shares = cardiac_anatomy.shares_at(HEART, points, 1.0)
    np.testing.assert_allclose(sum(shares.values()), 1, atol=1e-5)
    assert shares["blood"][parts["right"]].mean() > 0.95
    # Papillary muscles count as part of the cavity.
    assert 0.75 < shares["blood"][parts["left"]].mean() < 1
    assert shares["myocardium"][parts["wall"]].mean() > 0.95
    # The wall of an adult weighs some 60 to 180 g.
    assert 60 < parts["wall"].sum() * 0.125 * 1.05 < 200


@pytest.mark.parametrize(("kind", "long_angle"), [("cine sa", 0), ("cine la 2ch", 90), ("cine la 4ch", 90)])
def test_planes_lie_along_or_across_the_long_axis(kind, long_angle):
    angles = []
    for seed in range(20):
        plane = cardiac_views.draw_plane(HEART, kind, np.random.default_rng(seed))
        frame = np.stack([plane.down, plane.right, plane.normal])
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-9)
        angles.append(np.degrees(np.arccos(abs(plane.normal @ HEART.axes[0]))))
    assert np.median(angles) == pytest.approx(long_angle, abs=12)


def cuts(kind, point, within_mm):
    """How often the slices of a kind pass within a distance of a point."""
    planes = [cardiac_views.draw_plane(HEART, kind, np.random.default_rng(seed)) for seed in range(20)]
    return np.mean([abs((point - plane.centre) @ plane.normal) < within_mm for plane in planes])


def test_three_chamber_planes_pass_through_the_aortic_valve_and_two_chamber_ones_do_not():
    assert cuts("cine la 3ch", HEART.aortic_valve, 15) > 0.8
    right_ventricle = HEART.local(40, HEART.radius + 20, 0)
    assert cuts("cine la 4ch", right_ventricle, 15) > 0.8
    assert cuts("cine la 2ch", right_ventricle, 15) < 0.2


@pytest.mark.parametrize("label", range(len(KINDS)))
def test_images_are_repeatable_and_differ_between_subjects(label):
    image, again, other = (cardiac_views.draw_image(0, label, number, 24) for number in (0, 0, 1))
    assert image.shape == (24, 24)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, again)
    assert np.abs(image.astype(int) - other).mean() > 2
    assert np.ptp(image) > 150


def test_late_enhancement_nulls_healthy_myocardium_and_cines_show_bright_blood():
    late = cardiac_views.cardiac_contrast.late_enhancement()
    assert late["myocardium"] == pytest.approx(0, abs=1e-9)
    assert late["scar"] > 0.15
    assert late["blood"] > 0.15
    cine = cardiac_views.cardiac_contrast.balanced_ssfp()
    assert 2 < cine["blood"] / cine["myocardium"] < 6
    assert cine["air"] == 0
    assert cine["lung"] < 0.2 * cine["blood"]
    flow = cardiac_views.cardiac_contrast.spoiled_gradient_echo(20.0, 5.0, 0.6)
    assert flow["blood"] > 3 * flow["myocardium"]


def test_phase_shows_flow_up_and_down_and_noise_outside():
    rng = np.random.default_rng(3)
    plane = cardiac_views.draw_plane(HEART, "flow phase", rng)
    fractions = cardiac_views._fractions(HEART, plane, 64)
    phase = cardiac_views._acquire("flow phase", HEART, plane, fractions, rng)
    blood, air = fractions["blood"] > 0.95, fractions["air"] > 0.95
    still = fractions["muscle"] + fractions["liver"] > 0.95
    assert np.abs(phase).max() <= 1
    assert phase[blood].max() > 0.12
    assert np.abs(np.median(phase[still])) < 0.02
    assert phase[air].std() > 0.4 > 5 * phase[still].std()


def test_shares_of_tissues_sum_to_one():
    plane = cardiac_views.draw_plane(HEART, "cine la 4ch", np.random.default_rng(1))
    fractions = cardiac_views._fractions(HEART, plane, 32)
    np.testing.assert_allclose(sum(fractions.values()), 1, atol=1e-5)
    assert {"blood", "myocardium", "lung", "fat"} <= set(fractions)


def test_counts_of_the_sets():
    balanced = cardiac_views.class_counts(100, balanced=True)
    assert sorted(balanced) == [1, 2, 3]
    assert set(balanced.values()) == {33, 34}
    tailed = cardiac_views.class_counts(1200, balanced=False)
    assert sum(tailed.values()) == 1200
    assert len(tailed) == 13
    assert tailed[0] > 25 * tailed[KINDS.index("late enhancement")]
    listed = cardiac_views.list_images(100, balanced=True)
    assert len(set(listed)) == 100
    assert min(cardiac_views.class_counts(13, balanced=False).values()) == 1
    with pytest.raises(ValueError, match="wanted one for each of 13"):
        cardiac_views.class_counts(12, balanced=False)
