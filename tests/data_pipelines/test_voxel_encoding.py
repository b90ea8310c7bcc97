import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from data_pipelines import voxel_encoding

INTEGERS = [np.bool_, np.uint8, np.int8, np.uint16, np.int16]


@given(
    st.sampled_from(INTEGERS).flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes())),
    st.booleans(),
)
def test_whole_numbers_are_kept_exactly(volume, as_float):
    source = volume.astype(np.float32) if as_float else volume
    entry = voxel_encoding.encode("image", source, tolerance=0.0)
    assert entry["image"].dtype == np.int16
    assert entry["image_scaling"].tolist()[::2] == [1.0, 0.0]
    decoded = voxel_encoding.decode(entry["image"], entry["image_scaling"])
    assert np.array_equal(decoded, volume.astype(np.float32))


def test_whole_numbers_within_the_range_of_int16_are_stored_as_they_are():
    volume = np.array([[-1024, 3071], [0, -32768]])
    assert np.array_equal(voxel_encoding.encode("ct", volume, tolerance=0)["ct"], volume)
    far = voxel_encoding.encode("ct", np.array([100_000.0, 165_535.0]), tolerance=0)
    assert far["ct"].tolist() == [-32768, 32767]


FLOATS = arrays.arrays(
    st.sampled_from([np.float32, np.float64]),
    arrays.array_shapes(min_side=2),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(FLOATS, st.floats(0.0, 10.0))
def test_no_voxel_moves_by_more_than_the_tolerance_or_than_is_stated(volume, tolerance):
    entry = voxel_encoding.encode("image", volume, tolerance=tolerance)
    decoded = voxel_encoding.decode(entry["image"], entry["image_scaling"])
    error = np.max(np.abs(decoded.astype(np.float64) - volume))
    stated = float(entry["image_scaling"][2])
    assert error <= stated <= np.nextafter(np.float32(error), np.float32(np.inf))
    if entry["image"].dtype == np.int16:
        assert stated <= max(tolerance, np.nextafter(np.float32(tolerance), np.float32(np.inf)))
    else:
        assert np.array_equal(entry["image"], volume.astype(np.float32))


def test_values_between_are_spread_over_all_levels():
    volume = np.random.default_rng(0).uniform(-3.0, 5.0, (20, 20, 20))
    entry = voxel_encoding.encode("image", volume, tolerance=1e-4)
    extent = float(np.ptp(volume))
    assert entry["image"].dtype == np.int16
    assert (entry["image"].min(), entry["image"].max()) == (-32768, 32767)
    # Half a level, and the rounding of the decoded float32.
    assert 0.9 * extent / 131070 < entry["image_scaling"][2] < extent / 131070 + 1e-6


def test_float32_is_kept_where_int16_would_lose_more():
    volume = np.array([0.0, 1e-3, 1000.0], np.float32)
    entry = voxel_encoding.encode("image", volume, tolerance=1e-3)
    assert entry["image"].dtype == np.float32
    assert entry["image_scaling"].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("volume", "tolerance", "message"),
    [
        (np.zeros(3), -1.0, "tolerance is -1.0"),
        (np.zeros((0, 3)), 0.0, r"shape \(0, 3\)"),
        (np.array([0.0, np.nan]), 0.0, "wanted finite"),
        (np.array([0.0, -np.inf]), 0.0, "wanted finite"),
        (np.array([0.0, 1e300]), 0.0, "within float32"),
    ],
)
def test_what_cannot_be_stored_is_named(volume, tolerance, message):
    with pytest.raises(ValueError, match=message):
        voxel_encoding.encode("image", volume, tolerance=tolerance)


def test_extreme_values_do_not_overflow():
    top = float(np.finfo(np.float32).max)
    entry = voxel_encoding.encode("image", np.array([-top, 0.5, top]), tolerance=top)
    decoded = voxel_encoding.decode(entry["image"], entry["image_scaling"])
    assert np.isfinite(decoded).all()
