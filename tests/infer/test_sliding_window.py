import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.infer.sliding_window import make_sliding_window

WEIGHTINGS = ("constant", "gaussian", "centre")


def identity(variables, windows):
    return windows


def convolve(kernel, volume):
    """Cross-correlation with zeros beyond the border: (batch, *spatial) with a kernel of odd sizes."""
    return jax.lax.conv_general_dilated(
        volume[:, None], kernel[None, None], (1,) * kernel.ndim, "SAME", precision="highest"
    )[:, 0]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("overlap", [0, 1 / 3, 0.5, 0.8])
@pytest.mark.parametrize("shape", [(13, 9, 5), (6, 5, 4), (3, 2, 1), (1, 30, 2)])
def test_identity_gives_the_volume_back(shape, overlap, weighting):
    apply = make_sliding_window(identity, {}, (6, 5, 4), 7, overlap=overlap, weighting=weighting)
    volume = noise(*shape)
    blended = apply(volume)
    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended, volume, rtol=2e-6, atol=0)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_constants_stay_constant_and_windows_that_meet_change_no_bit(weighting):
    apply = make_sliding_window(lambda _, x: jnp.full_like(x, 7), {}, (4, 6), 3, weighting=weighting)
    np.testing.assert_allclose(apply(noise(11, 17)), 7, rtol=5e-7)
    apart = make_sliding_window(identity, {}, (4, 6), 3, overlap=0, weighting=weighting)
    np.testing.assert_array_equal(apart(noise(12, 18)), noise(12, 18))


@pytest.mark.parametrize("shape", [(12, 20), (19, 31), (64, 12)])
def test_central_parts_of_a_convolution_are_the_whole_volumes(shape):
    """A window of 12 keeps its central 8; a kernel of 5 sees 2 beyond them, no more than the margin has."""
    kernel, volume = noise(5, 5, seed=1), noise(*shape)
    apply = make_sliding_window(convolve, kernel, (12, 12), 4, overlap=1 / 3, weighting="centre")
    whole = np.asarray(convolve(kernel, jnp.asarray(volume)[None]))[0]
    np.testing.assert_allclose(apply(volume), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weighting", ["constant", "gaussian"])
def test_a_convolution_is_right_wherever_no_window_ends_within_its_reach(weighting):
    kernel, volume = noise(3, seed=1), noise(40)
    apply = make_sliding_window(convolve, kernel, (16,), 4, overlap=0.5, weighting=weighting)
    error = np.abs(apply(volume) - np.asarray(convolve(kernel, jnp.asarray(volume)[None]))[0])
    ends = {0, 8, 16, 24, 15, 23, 31, 39} - {0, 39}
    far = [voxel for voxel in range(40) if voxel not in ends]
    assert error[far].max() < 1e-5
    assert error[sorted(ends)].min() > 1e-5


def test_weighted_mean_of_two_windows_is_the_stated_one():
    """Windows of 4, 2 apart, that return their position: gaussian weights with sigma 1/2, by hand."""
    apply = make_sliding_window(lambda _, x: jnp.broadcast_to(jnp.arange(4.0), x.shape), {}, (4,), 2)
    near, far = np.exp(-(0.5**2) / (2 * 0.25)), np.exp(-(1.5**2) / (2 * 0.25))
    second, third = (2 * near + 0 * far) / (near + far), (3 * far + 1 * near) / (near + far)
    np.testing.assert_allclose(apply(np.zeros(6, np.float32)), [0, 1, second, third, 2, 3], rtol=1e-6)


def test_equal_on_any_devices_and_for_any_number_of_windows_at_a_time(replicate):
    """35 windows divide over neither 3, 4 nor 8 devices."""
    volume, kernel = noise(22, 30), noise(3, 3, seed=1)
    reference = make_sliding_window(convolve, kernel, (6, 6), 1)(volume)
    for data, space, batch_size in ((1, 1, 35), (1, 1, 4), (3, 1, 1), (4, 1, 6), (2, 4, 8), (8, 1, 17)):
        apply = make_sliding_window(convolve, replicate(kernel, data, space), (6, 6), batch_size)
        np.testing.assert_allclose(apply(volume), reference, rtol=1e-6, atol=1e-6)


def test_channels_in_and_out_are_free():
    volume = noise(9, 7, 2)
    apply = make_sliding_window(lambda _, x: jnp.concatenate([x, 2 * x], -1)[..., None, :], {}, (4, 4), 3)
    blended = apply(volume)
    assert blended.shape == (9, 7, 1, 4)
    np.testing.assert_allclose(blended[..., 0, :], np.concatenate([volume, 2 * volume], -1), rtol=2e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_short_floats_are_summed_in_float32(dtype):
    """0.9 overlap sums up to 100 windows: rounding of each sum to `dtype` would show."""
    value = float(dtype(0.7))
    apply = make_sliding_window(lambda _, x: jnp.full(x.shape, 0.7, dtype), {}, (10, 10), 16, overlap=0.9)
    blended = apply(np.zeros((25, 25), np.float32))
    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended, value, rtol=1e-6)


def test_what_centre_leaves_out_may_be_anything():
    """Windows of 6 keep their central 4; only at the border of the volume their outermost outputs count."""

    def spoilt(variables, windows):
        return windows.at[:, 0].set(jnp.inf).at[:, 5].set(jnp.nan)

    volume = noise(14)
    blended = make_sliding_window(spoilt, {}, (6,), 1, overlap=1 / 3, weighting="centre")(volume)
    np.testing.assert_array_equal(blended[1:-1], volume[1:-1])
    assert not np.isfinite(blended[[0, -1]]).any()


def test_memory_mapped_volume_is_read_by_windows(tmp_path):
    """The host holds the result and a few windows: 27 MiB of input stay on the disk."""
    shape, window = (192, 192, 192), (32, 32, 32)
    stored = np.lib.format.open_memmap(tmp_path / "volume.npy", "w+", np.int16, shape)
    stored[:] = np.arange(192, dtype=np.int16)[:, None, None]
    stored.flush()
    apply = make_sliding_window(lambda _, x: x.astype(jnp.float32), {}, window, 2, overlap=0)
    volume = np.load(tmp_path / "volume.npy", mmap_mode="r")
    tracemalloc.start()
    blended = apply(volume)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(blended[:, 5, 7], np.arange(192))
    assert peak < blended.nbytes + 30 * 4 * 32**3


def test_wrong_arguments_get_one_line():
    with pytest.raises(ValueError, match=r"window: \(\); wanted"):
        make_sliding_window(identity, {}, (), 1)
    with pytest.raises(ValueError, match="size 0"):
        make_sliding_window(identity, {}, (4, 0), 1)
    with pytest.raises(ValueError, match=r"overlap: 1\.0; wanted"):
        make_sliding_window(identity, {}, (4, 4), 1, overlap=1.0)
    apply = make_sliding_window(identity, {}, (4, 4), 1)
    for shape in ((5,), (0, 5)):
        with pytest.raises(ValueError, match=r"volume of shape .*; wanted voxels along 2 or more axes"):
            apply(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="only outputs of the window's own size are supported"):
        make_sliding_window(lambda _, x: x[:, ::2], {}, (4, 4), 1)(np.zeros((8, 8), np.float32))
