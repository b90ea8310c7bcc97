"""The table of the operators' accuracy, at sizes small enough for a test: errors fall at the known orders."""

import math

import pytest

from benchmarks import radon_accuracy

SIZES = (32, 64)


@pytest.fixture(scope="module")
def tables():
    return radon_accuracy.measure(list(SIZES))


def order(errors):
    return math.log2(errors[0] / errors[1])


@pytest.mark.parametrize("method", ["exact", "projector"])
def test_projections_of_a_smooth_image_are_second_order_and_edges_nearly_first(tables, method):
    found = {name: errors[method] for name, errors in tables["projection"].items()}
    assert found["Gaussian"][1] < 5e-3
    assert order(found["Gaussian"]) > 1.8
    for name in ("Shepp-Logan", "disc"):
        assert order(found[name]) > 0.75


def test_exact_is_scikit_images_algorithm_and_the_projector_is_closer(tables):
    for errors in tables["projection"].values():
        for exact, projector, reference in zip(
            *(errors[m] for m in ("exact", "projector", "scikit-image")), strict=True
        ):
            assert exact == pytest.approx(reference, rel=1e-3)
            assert projector < reference


@pytest.mark.parametrize("method", ["exact", "projector", "fft"])
def test_changes_of_the_kernel_converge_to_their_closed_form(tables, method):
    """Second order but for the lowest exponents, whose tails leave the image."""
    for kernel, errors in tables["kernel"].items():
        assert order(errors[method]) > 1.4, kernel
    assert order(tables["kernel"]["(-1, 1)"][method]) > 1.5


def test_the_page_shows_every_size_and_its_order(tables):
    results = {"commit": "c", "device": "d", "jax_version": "j", "date": "t", "sizes": list(SIZES)}
    page = radon_accuracy.to_markdown({**results, "tables": tables})
    assert page.count("| Gaussian | projector |") == 1
    assert "| 32^2 | 64^2 (order) |" in page
