"""Whether a generator copies its training images, or makes the same few images again and again.

Both show in similarities to the most similar image: of synthetic images to real ones (S_R), of synthetic
images to other synthetic ones (S_S), and of real images to other real ones (R_R), which says how similar
images of the data are anyway.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

BASELINE_SHARE = 0.01
"""Similarities above those of all but this share of the real images are called extreme."""

EXTREME_SHARE = 0.05
"""A failure mode is found where at least this share of synthetic images has an extreme similarity ..."""

SIGNIFICANCE = 0.01
"""... and fewer would in this share of draws, if synthetic and real similarities were drawn alike."""


class Finding(NamedTuple):
    """How a set of similarities compares with the baseline.

    Attributes:
        superiority: probability that one of them exceeds one of the baseline, ties counting half: 1/2 where
            both are alike.
        extreme_share: share of them that is extreme.
        p_value: probability of as many extreme ones by chance (precedence test).
        is_found: whether the share reaches `EXTREME_SHARE` and the probability is below `SIGNIFICANCE`.
    """

    superiority: float
    extreme_share: float
    p_value: float
    is_found: bool


def compare_with_baseline(
    similarities: Float[np.ndarray, " images"], baseline: Float[np.ndarray, " real"]
) -> Finding:
    """Compares similarities of synthetic images with those of real ones among themselves.

    Let t be the j-th largest similarity of the baseline, j being `BASELINE_SHARE` of its size, rounded up.
    Extreme are those above t. If k of n are, then by chance with the probability that of the k + j - 1
    largest of all n + m similarities k or more are of the n: hypergeometric.

    Args:
        similarities: S_R, for memorisation: the real images are those of the training; or S_S, for mode
            collapse.
        baseline: R_R. Images should have as many others to be similar to as those of `similarities` have: the
            largest of more numbers is larger. Exact duplicates among the real images make copies look
            ordinary: remove them.

    Returns:
        The finding. A minority is seen by its extreme share, a shift of all by its superiority, which alone
        does not make a finding: images that are only smoother than real ones have it too. Images of one
        patient are not independent, so that the probability is a lower bound.

    Raises:
        ValueError: one of them is empty or not finite.

    Reference: Tronchin et al., Evaluating GANs in Medical Imaging, section 4, which compares the
    distributions by eye; Nelson, Tables for a precedence life test.
    """
    for name, values in (("similarities", similarities), ("baseline", baseline)):
        if not len(values) or not np.isfinite(values).all():
            raise ValueError(f"{name}: {len(values)} values; wanted one or more, all finite")
    size, ordered = len(similarities), np.sort(baseline)
    below, not_above = (np.searchsorted(ordered, similarities, side) for side in ("left", "right"))
    superiority = float((below + not_above).mean()) / (2 * len(baseline))
    rank = math.ceil(BASELINE_SHARE * len(baseline))
    count = int((similarities > ordered[-rank]).sum())
    chance = (
        scipy.stats.hypergeom.sf(count - 1, size + len(baseline), size, count + rank - 1) if count else 1.0
    )
    is_found = count >= EXTREME_SHARE * size and chance < SIGNIFICANCE
    return Finding(superiority, count / size, float(chance), bool(is_found))
