"""Brains of two data sets: contrasts by their equations, lesions of plausible size where they belong."""

import numpy as np
import pytest

from data_pipelines.phantoms import brain_volumes
from data_pipelines.phantoms.brain_volumes import SEQUENCES, TISSUES

SHAPE, SPACING = (14, 32, 28), (9.0, 6.75, 6.75)
NUM_LESIONS = {"hyperintensities": 1, "glioma": 3}


def draw(disease, seed=0):
    return brain_volumes.draw_volume(seed, disease, SHAPE, SPACING)


def of(sequence, tissue):
    return brain_volumes.signal(sequence, *TISSUES[tissue])


def test_flair_nulls_fluid_and_shows_lesions():
    assert of("FLAIR", "csf") == pytest.approx(0, abs=1e-12)
    assert of("FLAIR", "hyperintensity") > 1.3 * of("FLAIR", "white")
    assert of("T1", "hyperintensity") < of("T1", "white")
    assert of("T2", "csf") > of("T2", "oedema") > of("T2", "grey") > of("T2", "white")


@pytest.mark.parametrize("disease", SEQUENCES)
def test_volumes_are_repeatable_and_have_their_labels(disease):
    one, again = draw(disease), draw(disease)
    assert one.image.shape == (*SHAPE, len(SEQUENCES[disease]))
    assert (one.image.dtype, one.label.dtype) == (np.float32, np.uint8)
    np.testing.assert_array_equal(one.image, again.image)
    assert set(np.unique(one.label)) == set(range(1 + NUM_LESIONS[disease]))
    assert (one.label != draw(disease, 1).label).any()


def test_lesion_volumes_are_those_of_patients():
    ml = np.prod(SPACING) / 1000
    small = [(draw("hyperintensities", seed).label > 0).sum() * ml for seed in range(5)]
    large = [(draw("glioma", seed).label > 0).sum() * ml for seed in range(5)]
    assert min(small) > 1 and max(small) < 70
    assert min(large) > 10 and max(large) < 250


def test_lesions_are_bright_in_flair_and_the_rim_in_enhanced_t1():
    volume = draw("hyperintensities")
    flair = volume.image[..., 1]
    head = flair > 0.3 * flair.max()
    assert flair[volume.label == 1].mean() > 1.2 * flair[head & (volume.label == 0)].mean()
    tumour = draw("glioma", 1)
    plain, enhanced = tumour.image[..., 0], tumour.image[..., 2]
    rim = tumour.label == 3
    assert enhanced[rim].mean() > 1.3 * plain[rim].mean()
    assert enhanced[rim].mean() > enhanced[tumour.label == 1].mean()


def test_only_gliomas_have_lost_their_skulls():
    assert (draw("glioma").image == 0).mean() > 0.3
    assert (draw("hyperintensities").image > 0).all()
