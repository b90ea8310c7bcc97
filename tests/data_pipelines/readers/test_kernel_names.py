import numpy as np
import pytest
from scipy import ndimage

from data_pipelines.readers import kernel_names


@pytest.mark.parametrize(
    ("manufacturer", "smooth", "sharp"),
    [
        ("SIEMENS", ["B10f", "B30f", "B31s", "B45f"], ["B50f", "B60s", "B70f", "B80f"]),
        (
            "Siemens Healthineers",
            ["Br40d\\3", "Bl44f", "I30f", "Hr38d", "J40s"],
            ["Bl57d\\2", "Br64f", "I70f"],
        ),
        ("GE MEDICAL SYSTEMS", ["SOFT", "STANDARD"], ["BONE", "LUNG", "BONEPLUS", "Bone Plus", "EDGE"]),
        ("Philips", ["A", "B"], ["D", "E", "L"]),
        ("TOSHIBA", ["FC01", "FC08", "FC13", "FC13-H", "FC18"], ["FC30", "FC51", "FC55", "FC86"]),
        ("Canon Medical Systems", ["FC08"], ["FC52"]),
    ],
)
def test_names_of_the_makers(manufacturer, smooth, sharp):
    for kernel in smooth:
        assert kernel_names.named_sharpness(manufacturer, kernel) < kernel_names.SHARP_FROM
    for kernel in sharp:
        assert kernel_names.named_sharpness(manufacturer, kernel) >= kernel_names.SHARP_FROM


@pytest.mark.parametrize(
    ("manufacturer", "kernel"),
    [
        ("GE MEDICAL SYSTEMS", "DETAIL"),
        ("Philips", "C"),
        ("Philips", "YA"),
        ("TOSHIBA", "FC00"),
        ("TOSHIBA", "FC26"),
        ("SIEMENS", "B7"),
        ("SIEMENS", ""),
        ("GE MEDICAL SYSTEMS", "B70f"),
        ("", "B70f"),
    ],
)
def test_names_that_do_not_tell(manufacturer, kernel):
    assert kernel_names.named_sharpness(manufacturer, kernel) is None


def test_names_of_one_maker_are_ordered():
    sharpness = [kernel_names.named_sharpness("SIEMENS", f"B{number}f") for number in range(10, 90, 10)]
    assert sharpness == sorted(set(sharpness))


def test_white_noise_is_recovered_beside_edges_and_gradients():
    rng = np.random.default_rng(0)
    anatomy = np.add.outer(np.arange(128.0), 2 * np.arange(128.0))
    anatomy[30:60, 40:90] += 500
    assert kernel_names.high_frequency_noise(anatomy) == pytest.approx(0, abs=1e-9)
    for deviation in (5.0, 40.0):
        noisy = anatomy + rng.normal(0, deviation, anatomy.shape)
        assert kernel_names.high_frequency_noise(noisy) == pytest.approx(deviation, rel=0.05)


def test_smoothed_noise_counts_less_and_air_not_at_all():
    noise = np.random.default_rng(0).normal(0, 20, (128, 128))
    sharp = kernel_names.high_frequency_noise(noise)
    assert kernel_names.high_frequency_noise(ndimage.gaussian_filter(noise, 1)) < sharp / 10
    half_air = np.where(np.arange(128) < 64, -1024, noise)
    assert kernel_names.high_frequency_noise(half_air) == pytest.approx(sharp, rel=0.1)
    assert np.isnan(kernel_names.high_frequency_noise(np.full((8, 8), -1024.0)))
