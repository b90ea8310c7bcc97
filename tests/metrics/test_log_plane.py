import numpy as np
import pytest

from jaxmed.metrics import log_plane

CELLS = [(a, t) for a in (4, 8, 12, 16) for t in (0, 128, 256, 384, 512)]


def test_published_plane_gives_the_published_fit():
    """The paper's coefficients for mitochondria: 0.889 at (4, 512) and 0.915 at (16, 512)."""
    cells = {(a, t): [0.019 * np.log(a) + 0.010 * np.log(t) + 0.80 if t else 0.5] for a, t in CELLS}
    fit = log_plane.fit_log_plane(cells)
    np.testing.assert_allclose(fit[:3], [0.019, 0.010, 0.80], atol=1e-9)
    assert fit.at(4, 512) == pytest.approx(0.889, abs=5e-4)
    assert fit.at(16, 512) == pytest.approx(0.915, abs=5e-4)
    assert np.isnan(fit.at(4, 0))


def test_slopes_without_effect_are_told_from_those_with():
    rng = np.random.default_rng(0)
    cells = {(a, t): 0.05 * np.log(a) + 0.02 * rng.normal(size=12) for a, t in CELLS}
    tests = log_plane.fit_log_plane(cells).tests
    assert (tests["alpha_a = 0"].numerator, tests["alpha_a = 0"].denominator) == (1, 16 * 12 - 3)
    assert tests["alpha_a = 0"].p < 1e-9
    assert tests["alpha_t = 0"].p > 0.01
    assert tests["alpha_a = alpha_t = 0"].numerator == 2


def test_too_few_cells_have_no_plane():
    assert log_plane.fit_log_plane({(4, 128): [0.5], (4, 256): [0.6], (4, 512): [0.7]}) is None
    assert log_plane.fit_log_plane({(4, 0): [0.5]}) is None


def test_deviations_of_cells_are_fitted_too():
    """Scores at 1 standard deviation about a plane, the deviation itself a plane; single scores have none."""
    spread = {cell: 0.5 - 0.1 * np.log(cell[0]) for cell in CELLS}
    cells = {cell: 0.02 * np.log(cell[0]) + spread[cell] * np.array([-1, 0, 1]) for cell in CELLS}
    fits = log_plane.fit_statistics(cells)
    np.testing.assert_allclose(fits["mean"][:3], [0.02, 0, 0], atol=1e-9)
    np.testing.assert_allclose(fits["std"][:3], [-0.1, 0, 0.5], atol=1e-9)
    single = log_plane.fit_statistics({cell: scores[1:2] for cell, scores in cells.items()})
    np.testing.assert_allclose(single["mean"][:3], [0.02, 0, 0], atol=1e-9)
    assert single["std"] is None
    assert np.isnan(log_plane.sample_std([0.3]))


def test_table_names_every_fit_that_there_is():
    cells = {cell: [float(cell[0]), cell[1] / 7.0] for cell in CELLS}
    text = log_plane.to_markdown({"one": log_plane.fit_log_plane(cells), "none": None})
    assert "| one |" in text
    assert "none" not in text
    assert "F(1, " in text
