import numpy as np
import pytest

from data_pipelines.phantoms import chest_xray


@pytest.fixture(scope="module")
def subject():
    return {finding: chest_xray.draw_radiograph(3, finding, 96) for finding in chest_xray.FINDINGS}


def test_path_length_through_an_ellipsoid_gives_its_volume():
    across, down = np.meshgrid(np.arange(-60, 60.5, 0.5), np.arange(-60, 60.5, 0.5))
    length = chest_xray._ellipsoid(across, down, (3.0, -2.0), (40.0, 30.0, 20.0))
    assert length.max() == pytest.approx(40)
    assert length.sum() * 0.25 == pytest.approx(4 / 3 * np.pi * 40 * 30 * 20, rel=1e-3)


def test_the_same_seed_gives_the_same_image_and_another_seed_another_subject(subject):
    again = chest_xray.draw_radiograph(3, "normal", 96)
    np.testing.assert_array_equal(subject["normal"], again)
    assert not np.array_equal(again, chest_xray.draw_radiograph(4, "normal", 96))
    assert again.dtype == np.uint8


def test_lungs_are_darker_than_mediastinum_and_abdomen(subject):
    image = subject["normal"].astype(float)
    lungs = image[30:60, 20:32].mean()
    assert lungs + 60 < image[30:60, 46:50].mean()
    assert lungs + 40 < image[88:, 20:32].mean()


@pytest.mark.parametrize("finding", ["diffuse", "focal"])
def test_findings_only_add_attenuation(finding):
    """Most pixels brighten or stay, over subjects, since the range of the display hardly changes."""
    changes = []
    for seed in range(8):
        normal, other = (chest_xray.draw_radiograph(seed, f, 64).astype(float) for f in ("normal", finding))
        changes.append(other[16:48, 8:56].mean() - normal[16:48, 8:56].mean())
    assert min(changes) > -1
    assert np.mean(changes) > 1


def test_diffuse_findings_are_in_both_lungs_and_focal_ones_in_one():
    sides = {"diffuse": [], "focal": []}
    for finding, found in sides.items():
        for seed in range(10):
            normal, other = (
                chest_xray.draw_radiograph(seed, f, 64).astype(float) for f in ("normal", finding)
            )
            change = np.maximum(other - normal, 0)[10:52]
            left, right = change[:, :31].sum(), change[:, 33:].sum()
            found.append(min(left, right) / max(left, right))
    assert np.median(sides["focal"]) < 0.35 < np.median(sides["diffuse"])
