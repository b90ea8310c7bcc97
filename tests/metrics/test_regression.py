import numpy as np
import pytest
import scipy.stats

from jaxmed.metrics import regression


def noisy_plane(rng, cases=40):
    design = np.column_stack([rng.normal(size=(cases, 2)), np.ones(cases)])
    return design, design @ [0.5, 0.0, 2.0] + 0.3 * rng.normal(size=cases)


def test_exact_plane_is_found_exactly():
    design = np.column_stack([np.log([4, 4, 8, 16]), np.log([128, 256, 128, 512]), np.ones(4)])
    fit = regression.fit_linear(design, design @ [0.019, 0.010, 0.80])
    np.testing.assert_allclose(fit.coefficients, [0.019, 0.010, 0.80], atol=1e-12)
    assert fit.freedom == 1
    assert fit.residual < 1e-20


def test_test_of_one_slope_is_that_of_simple_regression():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 30))
    y = 0.4 * x + noise
    found = regression.f_test(np.column_stack([x, np.ones(30)]), y, (0,))
    wanted = scipy.stats.linregress(x, y)
    np.testing.assert_allclose(found.p, wanted.pvalue, rtol=1e-9)
    np.testing.assert_allclose(found.f, (wanted.slope / wanted.stderr) ** 2, rtol=1e-9)
    assert (found.numerator, found.denominator) == (1, 28)


def test_test_of_group_means_is_the_analysis_of_variance():
    rng = np.random.default_rng(1)
    groups = [rng.normal(mean, 1, size) for mean, size in ((0, 8), (0.5, 11), (1, 9))]
    design = np.column_stack([np.repeat(np.eye(3)[:, 1:], [8, 11, 9], axis=0), np.ones(28)])
    found = regression.f_test(design, np.concatenate(groups), (0, 1))
    wanted = scipy.stats.f_oneway(*groups)
    np.testing.assert_allclose([found.f, found.p], [wanted.statistic, wanted.pvalue], rtol=1e-9)


def test_term_without_effect_is_rejected_as_often_as_the_level_says():
    rng = np.random.default_rng(2)
    rejected = sum(regression.f_test(*noisy_plane(rng), (1,)).p < 0.1 for _ in range(400))
    assert abs(rejected - 40) < 4 * np.sqrt(400 * 0.1 * 0.9)


def test_published_p_values_follow_from_their_f_but_for_one():
    """Laprade et al.: 16 cells of 12 runs; the 3-D U-Net's p of 0.14 for F = 6.2 is a misprint of 0.014."""
    freedom = 16 * 12 - 3
    for f, numerator, printed in (
        (36, 1, 9.1e-9),
        (9.9, 1, 0.0019),
        (44.7, 1, 2.6e-10),
        (0.20, 1, 0.65),
        (0.79, 1, 0.38),
    ):
        assert scipy.stats.f.sf(f, numerator, freedom) == pytest.approx(printed, rel=0.25)
    assert scipy.stats.f.sf(6.2, 1, freedom) == pytest.approx(0.014, rel=0.05)


def test_refuses_what_has_no_answer():
    ones = np.ones((4, 1))
    with pytest.raises(ValueError, match="rank"):
        regression.fit_linear(np.hstack([ones, ones]), np.arange(4.0))
    with pytest.raises(ValueError, match="more cases"):
        regression.fit_linear(np.eye(3), np.arange(3.0))
    with pytest.raises(ValueError, match="NaN"):
        regression.fit_linear(ones, np.array([1, 2, np.nan, 4]))
    with pytest.raises(ValueError, match="tested"):
        regression.f_test(np.column_stack([ones, np.arange(4.0)]), np.arange(4.0) ** 2, ())
