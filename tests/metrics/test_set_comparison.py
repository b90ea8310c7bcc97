import numpy as np
import pytest

from jaxmed.metrics import nearest_images, set_comparison

COUNT, TRAIN = 24, 16


@pytest.fixture(scope="module")
def compared():
    """Three images of each of eight subjects; of the synthetic ones the first half are copies."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 3)
    real = (rng.random((8, 16, 16))[subjects] + 0.3 * rng.random((COUNT, 16, 16))) / 1.3
    synthetic = rng.random((COUNT, 16, 16))
    synthetic[: COUNT // 2] = real[: COUNT // 2]
    arrays = real.astype(np.float32), synthetic.astype(np.float32)
    return *arrays, subjects, set_comparison.compare(*arrays, subjects, TRAIN)


def test_shapes_are_as_announced(compared):
    comparison = compared[3]
    assert tuple(array.shape for array in comparison) == set_comparison.SHAPES
    assert (np.diff(comparison.quantiles, axis=-1) >= 0).all()


def test_medians_are_those_of_the_largest_similarities(compared):
    real, _, subjects, comparison = compared
    matrix = nearest_images.ms_ssim_matrix(real, real)
    medians = dict(zip(set_comparison.KINDS, comparison.quantiles[:, 0, 50], strict=True))
    itself, same = np.eye(COUNT, dtype=bool), subjects[:, None] == subjects[None]
    np.testing.assert_allclose(medians["R_R"], np.median(np.where(itself, -1, matrix).max(1)), rtol=1e-5)
    np.testing.assert_allclose(
        medians["R_R other patients"], np.median(np.where(same, -1, matrix).max(1)), rtol=1e-5
    )
    assert medians["R_R"] > medians["R_R other patients"]
    np.testing.assert_allclose(comparison.quantiles[1, 0, 60], 1, atol=1e-5)


def test_copies_are_a_finding_and_no_collapse(compared):
    memorisation, collapse = compared[3].findings
    np.testing.assert_allclose(memorisation[1], 0.5)
    assert memorisation[3] == 1 and collapse[3] == 0


def test_templates_come_from_the_test_images(compared):
    real, _, _, comparison = compared
    found = nearest_images.correlation_matrix(real[TRAIN:], real[:TRAIN]).max(axis=1)
    np.testing.assert_allclose(comparison.quantiles[2, 1, 50], np.median(found), rtol=1e-5)
