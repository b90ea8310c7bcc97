import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines import patch_geometry

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@given(st.data(), LENGTHS, st.sampled_from([7, "edge"]), st.booleans())
def test_patches_equal_those_of_the_padded_array(data, shape, padding, channels):
    """NumPy's padding is the oracle: wide enough for any patch."""
    size = [data.draw(st.integers(1, 12)) for _ in shape]
    start = [data.draw(st.integers(-14, length + 2)) for length in shape]
    array = np.arange(np.prod(shape) * (2 if channels else 1)).reshape(*shape, *([2] if channels else []))
    width = [(14, 14)] * len(shape) + [(0, 0)] * channels
    mode = {"mode": "edge"} if padding == "edge" else {"constant_values": padding}
    padded = np.pad(array, width, **mode)
    expected = padded[tuple(slice(s + 14, s + 14 + n) for s, n in zip(start, size, strict=True))]
    patch = patch_geometry.take_patch(array, start, size, padding)
    assert patch.dtype == array.dtype
    assert np.array_equal(patch, expected)
    inside = all(s >= 0 and s + n <= length for s, n, length in zip(start, size, shape, strict=True))
    assert np.shares_memory(patch, array) == inside


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10))
def test_ranges_keep_patches_inside_or_centred(length, size, margin):
    first, last = patch_geometry.start_range(length, size, margin)
    if size <= length + 2 * margin:
        assert (first, last + size) == (-margin, length + margin)
    else:
        before, after = -first, first + size - length
        assert first == last
        assert after - before in (0, 1)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_grids_cover_every_voxel_with_patches_inside(length, size, step):
    starts = patch_geometry.grid_starts(length, size, step)
    assert starts == sorted(set(starts))
    if length >= size:
        assert starts[0] == 0
        assert starts[-1] + size == length
        if step <= size:
            covered = {voxel for start in starts for voxel in range(start, start + size)}
            assert covered == set(range(length))
    else:
        assert starts == [patch_geometry.start_range(length, size, 0)[0]]


def test_a_padding_that_the_dtype_cannot_hold_is_refused():
    with pytest.raises(OverflowError):
        patch_geometry.take_patch(np.zeros(3, np.uint8), [-1], [3], -1000)
