import numpy as np

from data_pipelines.phantoms import cardiac_anatomy, left_atrium

SHAPE, SPACING = (16, 32, 32), (7.0, 5.0, 5.0)


def test_left_atrium_is_blood_among_other_blood():
    image, label = left_atrium.draw_volume(0, SHAPE, SPACING)
    assert image.shape == label.shape == SHAPE
    inside = image[label == 1]
    # As bright as other blood, of which there is much more.
    low, high = np.percentile(inside, [20, 80])
    assert ((image > low) & (image < high) & (label == 0)).sum() > label.sum()
    assert 0.003 < label.mean() < 0.05


def test_volume_of_the_atrium_does_not_depend_on_the_grid():
    """Half an ellipsoid of 27 x 24 x 28 mm or so, cut at the mitral valve: 40 to 120 ml."""
    for shape, spacing in ((SHAPE, SPACING), ((36, 40, 40), (4.0, 4.0, 4.0))):
        _, label = left_atrium.draw_volume(3, shape, spacing)
        millilitres = label.sum() * np.prod(spacing) / 1000
        assert 30 < millilitres < 130


def test_atrium_ends_at_the_ventricle():
    heart = cardiac_anatomy.draw_heart(np.random.default_rng(0))
    beyond = heart.local(10.0, 0.0, 0.0)
    within = heart.local(-20.0, 0.0, 0.0)
    assert cardiac_anatomy.left_atrium(heart, beyond) > 0
    assert cardiac_anatomy.left_atrium(heart, within) < 0


def test_subjects_differ_and_repeat():
    first, again = (left_atrium.draw_volume(1, SHAPE, SPACING)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, left_atrium.draw_volume(2, SHAPE, SPACING)[0])
