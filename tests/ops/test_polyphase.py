import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.ops import polyphase


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.int32])
def test_components_are_strided_slices_and_interleave_undoes_them(axis, dtype):
    x = np.arange(42, dtype=dtype).reshape(6, 7).swapaxes(0, axis)
    parts = jax.jit(lambda x: [polyphase.component(x, axis, 3, offset) for offset in range(3)])(x)
    sizes = (4, 5, 6)
    interleaved = jax.jit(lambda parts: [polyphase.interleave(parts, axis, size) for size in sizes])(parts)
    np.testing.assert_array_equal(parts[1], np.take(x, range(1, 6, 3), axis))
    for size, together in zip(sizes, interleaved, strict=True):
        assert together.dtype == dtype
        np.testing.assert_array_equal(together, np.take(x, range(size), axis))


def test_interleave_passes_each_gradient_to_its_component():
    def first_five(even, odd):
        return polyphase.interleave([even, odd], 0, 5)

    zeros = np.zeros(3, np.float32)
    pull_back = jax.jit(lambda cotangent: jax.vjp(first_five, zeros, zeros)[1](cotangent))
    for found, wanted in zip(
        pull_back(np.arange(1, 6, dtype=np.float32)), ([1, 3, 5], [2, 4, 0]), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("distance", "wanted"), [(0, [1, 2, 3]), (1, [0, 1, 2]), (-2, [3, 0, 0]), (4, [0, 0, 0])]
)
def test_shift_fills_with_zeros(distance, wanted):
    np.testing.assert_array_equal(polyphase.shift(jnp.array([[1, 2, 3]]), 1, distance), [wanted])
