import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxmed import types
from jaxmed.bench import collectives
from jaxmed.ops import local_fft

SIZES = [(8, 10), (7, 9), (6, 6), (5, 8)]


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def smooth(images, period=10):
    """A filter of each image, with phases that are not symmetric."""
    gains = jnp.exp(-1j * jnp.arange(period // 2 + 1, dtype=jnp.float32))[None, None]
    return local_fft.irfft2(local_fft.rfft2(images, period) * gains, period, images.shape[-1])


@pytest.mark.parametrize(("size", "period"), SIZES)
def test_transforms_equal_numpy(size, period):
    images = random(3, size, size)
    spectra = jax.jit(local_fft.rfft2, static_argnums=1)(images, period)
    np.testing.assert_allclose(spectra, np.fft.rfft2(images, (period, period)), atol=1e-5)
    back = jax.jit(local_fft.irfft2, static_argnums=(1, 2))(spectra, period, size)
    np.testing.assert_allclose(back, images, atol=1e-6)


@pytest.mark.parametrize(("size", "period"), SIZES)
def test_transposes_are_those_of_the_plain_transforms(size, period):
    """The pull-backs of arbitrary cotangents, whose spectra belong to no real image."""

    def plain_forward(x):
        return jnp.fft.rfft2(x, (period, period))

    def plain_inverse(z):
        return jnp.fft.irfft2(z, (period, period))[:, :size, :size]

    half = (2, period, period // 2 + 1)
    images, spectra = random(2, size, size), random(*half) + 1j * random(*half, seed=1)
    for ours, plain, point, cotangent in (
        (lambda x: local_fft.rfft2(x, period), plain_forward, images, spectra),
        (lambda z: local_fft.irfft2(z, period, size), plain_inverse, spectra, images),
    ):
        pulled, expected = (
            jax.jit(lambda p, c, f=f: jax.vjp(f, p)[1](c)[0])(point, cotangent) for f in (ours, plain)
        )
        np.testing.assert_allclose(pulled, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("num_devices", [4, pytest.param(8, marks=pytest.mark.exhaustive)])
def test_split_batch_gives_the_same_without_communication(num_devices):
    images = random(8, 8, 8)
    mesh = jax.make_mesh((num_devices,), (types.DATA_AXIS,), axis_types=(AxisType.Auto,))
    split = jax.device_put(images, NamedSharding(mesh, P(types.DATA_AXIS)))

    def gradient(x):
        return jax.grad(lambda y: jnp.sum(jnp.square(smooth(y))))(x)

    for function in (smooth, gradient):
        compiled = jax.jit(function).lower(split).compile()
        np.testing.assert_array_equal(compiled(split), jax.jit(function)(images))
        assert compiled(split).sharding.is_equivalent_to(split.sharding, 3)
        assert not collectives.list_collectives(compiled.as_text())


def test_images_split_over_space_are_gathered_and_right():
    images = random(4, 8, 8)
    mesh = jax.make_mesh(
        (2, 4), (types.DATA_AXIS, types.SPACE_AXIS), axis_types=(AxisType.Auto, AxisType.Auto)
    )
    split = jax.device_put(images, NamedSharding(mesh, P(types.DATA_AXIS, types.SPACE_AXIS)))
    np.testing.assert_allclose(jax.jit(smooth)(split), jax.jit(smooth)(images), atol=1e-6)


def test_shard_map_gives_the_same():
    images = random(4, 8, 8)
    mesh = jax.make_mesh((4,), (types.DATA_AXIS,), axis_types=(AxisType.Auto,))
    spec = P(types.DATA_AXIS)
    mapped = jax.jit(jax.shard_map(smooth, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_array_equal(mapped(images), jax.jit(smooth)(images))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: local_fft.rfft2(jnp.zeros((1, 8, 8)), 7), "period is 7, expected at least"),
        (lambda: local_fft.irfft2(jnp.zeros((1, 8, 4), jnp.complex64), 8, 8), "spectra have shape"),
        (lambda: local_fft.irfft2(jnp.zeros((1, 8, 5), jnp.complex64), 8, 9), "for size 9"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
