import numpy as np
import pytest

from data_pipelines.phantoms import tof_mra

SMALL = {"shape": (24, 32, 32), "voxel_mm": 1.6}


@pytest.fixture(scope="module")
def drawn():
    return tof_mra.draw_angiogram(3, **SMALL)


def test_saturated_blood_is_still_tissue():
    assert tof_mra.inflow(np.array([1e6]), 100.0)[0] == pytest.approx(tof_mra.steady_state(tof_mra.BLOOD))


def test_fresh_blood_gives_the_whole_density():
    density, _, t2 = tof_mra.BLOOD
    wanted = density * np.sin(np.radians(17)) * np.exp(-3.4 / t2)
    assert tof_mra.inflow(np.zeros(1), 100.0)[0] == pytest.approx(wanted)


def test_one_pulse_by_hand():
    """A way of one TR at 100 mm/s leaves cos(17) of the magnetisation, which recovers with T1."""
    density, t1, t2 = tof_mra.BLOOD
    left = 1 - (1 - np.cos(np.radians(17))) * np.exp(-28 / t1)
    wanted = density * np.sin(np.radians(17)) * np.exp(-3.4 / t2) * left
    assert tof_mra.inflow(np.array([2.8]), 100.0)[0] == pytest.approx(wanted)


def test_slow_blood_and_fluid_are_darker():
    way = np.linspace(0, 25, 20)
    fast, slow = tof_mra.inflow(way, 400.0), tof_mra.inflow(way, 70.0)
    assert (np.diff(slow) < 0).all() and (slow[1:] < fast[1:]).all()
    grey, white, fluid = map(tof_mra.steady_state, (tof_mra.GREY, tof_mra.WHITE, tof_mra.FLUID))
    assert fluid < grey < white < fast.min()


def test_the_seed_draws_everything(drawn):
    again, other = tof_mra.draw_angiogram(3, **SMALL), tof_mra.draw_angiogram(4, **SMALL)
    np.testing.assert_array_equal(drawn.image, again.image)
    assert not np.array_equal(drawn.image, other.image)


def test_arteries_are_few_and_bright(drawn):
    inside, tissue = drawn.image[drawn.arteries > 0.9], drawn.image[drawn.arteries == 0]
    assert 0.003 < np.mean(drawn.arteries > 0.5) < 0.05
    assert np.median(inside) > 2 * np.median(tissue)


def test_annotations_lie_in_bright_sacs():
    """The middle of neck and dome, in patients with sacs of more than three voxels."""
    shown = [tof_mra.draw_angiogram(seed, **SMALL, num_aneurysms=2) for seed in range(4)]
    contrasts = []
    for one in shown:
        spheres = one.spheres(1.6)
        assert len(spheres) == len(one.diameters_mm)
        np.testing.assert_allclose(2 * spheres[:, 3], one.diameters_mm, atol=2.0)
        for sphere, diameter in zip(spheres, one.diameters_mm, strict=True):
            if diameter > 5:
                contrasts.append(one.image[tuple(np.rint(sphere[:3]).astype(int))] / np.median(one.image))
    assert len(contrasts) and min(contrasts) > 1.2


def test_without_arteries_nothing_is_brighter_than_fat():
    bare = tof_mra.draw_angiogram(3, **SMALL, with_arteries=False)
    assert not bare.arteries.any() and bare.spheres(1.6).shape == (0, 4)
    assert bare.image.max() < 0.75 * tof_mra.inflow(np.zeros(1), 400.0)[0]


def test_noise_is_rician_by_the_signal_to_noise_ratio():
    """Far outside the head there is no signal: the mean is that of Rayleigh noise."""
    wide = tof_mra.draw_angiogram(0, shape=(8, 60, 60), voxel_mm=4.0, with_arteries=False)
    sigma = tof_mra.steady_state(tof_mra.WHITE) / tof_mra.SNR
    corner = wide.image[:, :6, :6]
    np.testing.assert_allclose(corner.mean(), sigma * np.sqrt(np.pi / 2), rtol=0.05)


def test_refuses_unequal_height_and_width():
    with pytest.raises(ValueError, match="wanted equal height and width"):
        tof_mra.draw_angiogram(0, shape=(8, 8, 9), voxel_mm=1.0)
