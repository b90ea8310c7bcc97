import numpy as np
import pytest

from data_pipelines.phantoms import chest_lesions, tissue_hu
from data_pipelines.phantoms.chest_lesions import Lesion

LESION = Lesion(centre=(10.0, -5.0, 2.0), half=(20.0, 20.0, 20.0), edge_mm=8.0, value_hu=-500.0)


def test_amplitude_of_a_sphere_is_one_inside_half_on_the_outline_and_zero_outside():
    x = np.array([10.0, 25.9, 28.0, 30.0, 32.0, 34.1])
    found = chest_lesions.amplitude(LESION, x, np.full(6, -5.0), 2.0, np.zeros(6))
    smoothstep = [1, 1, 0.75**2 * (3 - 1.5), 0.5, 0.25**2 * (3 - 0.5), 0]
    np.testing.assert_allclose(found, smoothstep, atol=1e-4)


def test_noise_displaces_the_outline():
    noise = np.full(1, -0.5)
    edge = np.array([30.0 + 0.5 * chest_lesions.IRREGULARITY * 20.0])
    found = chest_lesions.amplitude(LESION, edge, np.array([-5.0]), 2.0, noise)
    np.testing.assert_allclose(found, 0.5, atol=1e-4)


def test_a_lesion_leaves_no_trace_where_it_says_that_it_does_not_reach():
    x = np.linspace(-60, 80, 71)
    height = 2.0 + 2 * 20.0 + 8.1
    assert not LESION.reaches(height)
    assert LESION.reaches(height - 0.2)
    found = chest_lesions.amplitude(LESION, x[None], x[:, None], height, np.full((71, 71), -4.5))
    assert found.max() == 0


def _draws(num=300):
    rng = np.random.default_rng(0)
    sites = rng.uniform(-100, 100, (5000, 3))
    depth = rng.uniform(0, 60, 5000)
    return [chest_lesions.draw_lesions(rng, sites, depth) for _ in range(num)], sites, depth


def test_lesions_vary_in_number_and_lie_in_the_ranges_of_their_kind():
    draws, _, _ = _draws()
    counts = [len(lesions) for lesions in draws]
    assert min(counts) == 1
    assert max(counts) > 10
    values = np.array([lesion.value_hu for lesions in draws for lesion in lesions])
    glass = (values >= tissue_hu.GROUND_GLASS_HU[0]) & (values <= tissue_hu.GROUND_GLASS_HU[1])
    solid = (values >= tissue_hu.CONSOLIDATION_HU[0]) & (values <= tissue_hu.CONSOLIDATION_HU[1])
    assert (glass | solid).all()
    assert solid.mean() == pytest.approx(0.3 / 1.3, abs=0.04)


def test_lesions_prefer_the_pleura_the_back_and_the_base():
    draws, sites, depth = _draws()
    chosen = np.array([lesions[0].centre for lesions in draws])
    assert chosen[:, 1].mean() > 20
    assert chosen[:, 2].mean() < -10
    index = [np.flatnonzero((sites == centre).all(axis=1))[0] for centre in chosen]
    assert depth[index].mean() < 20
