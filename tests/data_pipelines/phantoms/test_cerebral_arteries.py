import numpy as np

from data_pipelines.phantoms import cerebral_arteries

ARTERIES = cerebral_arteries.draw_arteries(np.random.default_rng(0))
HALF_MM = (32.0, 32.0, 25.6)


def test_diameters_follow_the_papers_law():
    diameters = cerebral_arteries.draw_diameters(np.random.default_rng(0), 100_000)
    np.testing.assert_allclose(np.mean(diameters < 3), 60 / 155, atol=0.01)
    np.testing.assert_allclose(np.mean(diameters > 5), 29 / 155, atol=0.01)
    np.testing.assert_allclose(diameters.mean(), 3.86, atol=0.05)
    np.testing.assert_allclose(diameters.std(), 2.39, atol=0.15)
    assert diameters.min() >= 1.23 and diameters.max() <= 19.63


def test_patients_have_as_many_as_in_the_paper():
    generator = np.random.default_rng(0)
    drawn = np.array([cerebral_arteries.draw_number(generator) for _ in range(20_000)])
    np.testing.assert_allclose(drawn.mean(), 155 / 111, atol=0.02)
    np.testing.assert_allclose(np.mean(drawn == 1), 81 / 111, atol=0.01)
    assert (drawn.min(), drawn.max()) == (1, 5)


def test_arteries_reach_from_the_trunks_to_the_limit_of_resolution():
    assert 1.9 < ARTERIES.radius_mm.max() < 2.1
    assert ARTERIES.radius_mm.min() < 0.35
    thin = ARTERIES.radius_mm < 0.5
    assert np.mean(thin) > 0.5


def test_aneurysms_stand_on_the_walls_of_large_arteries_within_the_box():
    drawn = [
        cerebral_arteries.draw_aneurysms(np.random.default_rng(seed), ARTERIES, HALF_MM, 2)
        for seed in range(10)
    ]
    large = ARTERIES.radius_mm >= 0.8
    start, along = ARTERIES.start[large], (ARTERIES.end - ARTERIES.start)[large]
    for sacs in drawn:
        for neck, dome in zip(sacs.neck, sacs.dome, strict=True):
            share = np.clip(((neck - start) * along).sum(1) / np.square(along).sum(1), 0, 1)
            distance = np.linalg.norm(neck - start - share[:, None] * along, axis=1)
            assert np.min(distance - ARTERIES.radius_mm[large]) <= 0
            assert (np.maximum(np.abs(neck), np.abs(dome)) < HALF_MM).all()
    assert sum(len(sacs.neck) for sacs in drawn) >= 18


def test_there_are_fewer_where_there_is_no_place():
    sacs = cerebral_arteries.draw_aneurysms(np.random.default_rng(0), ARTERIES, (2.0, 2.0, 2.0), 3)
    assert len(sacs.neck) < 3
