"""Real two-dimensional Fourier transforms of square images, each on the device that holds the example.

The compiler gathers a batch that is split over devices before a Fourier transform, although every example has
its own. Here the transforms are told to be independent of each other, so that each device transforms its own
examples and nothing is communicated. Both can be differentiated in both modes; `jax.vmap` is not supported.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import linear_call
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Complex, Float


def rfft2(
    images: Float[Array, "batch size size"], period: int
) -> Complex[Array, "batch period half_period_and_one"]:
    """Discrete Fourier transforms of real images, padded with zeros behind their last row and column.

    Args:
        images: (batch, size, size), float32.
        period: rows and columns after padding, at least size.

    Returns:
        (batch, period, period // 2 + 1), the frequencies of `numpy.fft.rfft2`.

    Raises:
        ValueError: if the period is smaller than the images.
    """
    size = images.shape[-1]
    if period < size:
        raise ValueError(f"period is {period}, expected at least the size of the images, {size}")

    def transpose(_, spectra):
        return _inverse(jnp.conj(spectra) / _multiplicity(period), period, size) * float(period**2)

    return linear_call(lambda _, x: _forward(x, period), transpose, (), images)


def irfft2(
    spectra: Complex[Array, "batch period half_period_and_one"], period: int, size: int
) -> Float[Array, "batch size size"]:
    """Inverse of `rfft2`: the first rows and columns of the images that have the given spectra.

    Args:
        spectra: (batch, period, period // 2 + 1).
        period: rows and columns of the images before they are cut.
        size: rows and columns to return, at most the period.

    Returns:
        (batch, size, size), float32.

    Raises:
        ValueError: if the spectra are not those of images of the period, or it is smaller than the size.
    """
    if spectra.shape[1:] != (period, period // 2 + 1) or size > period:
        raise ValueError(
            f"spectra have shape {spectra.shape} for size {size}, expected (batch, period, period // 2 + 1) "
            f"with the period {period}, and a size not above it"
        )

    def transpose(_, images):
        return jnp.conj(_forward(images, period)) * (_multiplicity(period) / np.float32(period**2))

    return linear_call(lambda _, z: _inverse(z, period, size), transpose, (), spectra)


def _multiplicity(period: int) -> np.ndarray:
    """How many of the frequencies of the whole spectrum each column of the half spectrum stands for."""
    columns = np.arange(period // 2 + 1)[None, None]
    return np.where(2 * columns % period == 0, 1.0, 2.0).astype(np.float32)


@functools.partial(custom_partitioning, static_argnums=(1,))
def _forward(images, period):
    return jnp.fft.rfft2(images, s=(period, period))


@functools.partial(custom_partitioning, static_argnums=(1, 2))
def _inverse(spectra, period, size):
    return jnp.fft.irfft2(spectra, s=(period, period))[:, :size, :size]


def _split_batch_only(operator) -> None:
    """Let the compiler keep the split of the first axis, and of no other."""

    def batch_sharding(mesh, arguments) -> NamedSharding:
        spec = arguments[0].sharding.spec
        return NamedSharding(mesh, PartitionSpec(spec[0] if spec else None))

    def partition(*arguments):
        *static, mesh, shapes, _ = arguments
        sharding = batch_sharding(mesh, shapes)
        return mesh, lambda x: operator.fun(x, *static), sharding, (sharding,)

    def infer_sharding(*arguments):
        *_, mesh, shapes, _ = arguments
        return batch_sharding(mesh, shapes)

    operator.def_partition(
        partition=partition,
        infer_sharding_from_operands=infer_sharding,
        sharding_rule="batch rows columns -> batch out_rows out_columns",
        need_replication_factors=("rows", "columns", "out_rows", "out_columns"),
    )


_split_batch_only(_forward)
_split_batch_only(_inverse)
