"""Structural comparison of real and synthetic images: similarities to the most similar image.

Kinds of comparison: S_S, every synthetic image with all other synthetic ones; S_R, every synthetic image with
all real ones; R_R, every real image with all other real ones; and the last without those of the same subject.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from jaxmed.metrics.failure_modes import compare_with_baseline
from jaxmed.metrics.nearest_images import correlation_matrix, largest, ms_ssim_matrix

KINDS = ("S_S", "S_R", "R_R", "R_R other patients")

MEASURES = ("MS-SSIM", "correlation")
"""Multi-scale structural similarity, and template matching."""

MODES = ("memorisation", "mode collapse")

NUM_QUANTILES = 101

SHAPES = ((len(KINDS), len(MEASURES), NUM_QUANTILES), (len(MODES), 4))
"""Of the arrays of a `Comparison`."""


class Comparison(NamedTuple):
    """Distributions and findings of a class.

    Attributes:
        quantiles: (kinds, measures, 101) of the largest similarity of every image, from 0 to 1.
        findings: (modes, 4), the numbers of a `failure_modes.Finding` of each.
    """

    quantiles: Float[np.ndarray, "kinds measures quantiles"]
    findings: Float[np.ndarray, "modes numbers"]


def compare(
    real: Float[np.ndarray, "images height width"],
    synthetic: Float[np.ndarray, "synthetic _height _width"],
    subjects: Shaped[np.ndarray, " images"],
    num_train: int,
) -> Comparison:
    """Compares real and synthetic images in all kinds.

    MS-SSIM is of every image of a set with all others. A template would find itself in a lattice of its own
    set: template matching looks for test images among training images instead, so that its R_R is between
    different subjects anyway.

    Args:
        real: training images, then test images, in [0, 1].
        synthetic: likewise, as many of each.
        subjects: names of the real images' subjects.
        num_train: how many are training images, at least one, and one fewer than there are.

    Raises:
        ValueError: images of several sizes or too small ones, or no training or test images.

    Reference: Tronchin et al., Evaluating GANs in Medical Imaging, section 2; differs: which images are
    templates, and in which lattice, is not said there.
    """
    among_real = ms_ssim_matrix(real, real)
    maxima = {
        "S_S": largest(ms_ssim_matrix(synthetic, synthetic), np.eye(len(synthetic), dtype=bool)),
        "S_R": largest(ms_ssim_matrix(synthetic, real)),
        "R_R": largest(among_real, np.eye(len(real), dtype=bool)),
        "R_R other patients": largest(among_real, subjects[:, None] == subjects[None]),
    }
    sets, levels, quantiles = {"S": synthetic, "R": real}, np.linspace(0, 1, NUM_QUANTILES), []
    for kind in KINDS:
        templates, images = sets[kind[0]][num_train:], sets[kind[2]][:num_train]
        matched = largest(correlation_matrix(templates, images))
        quantiles.append([np.quantile(values, levels) for values in (maxima[kind], matched)])
    findings = [compare_with_baseline(maxima[kind], maxima["R_R"]) for kind in ("S_R", "S_S")]
    return Comparison(np.array(quantiles, np.float32), np.array(findings, np.float32))
