"""The two forms of the projector on the same weights, against the dense matrix and each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxmed import types
from jaxmed.bench import collectives
from jaxmed.ops import radon, radon_backprojector, radon_projector

THETA = np.linspace(0.0, np.pi / 4, 11)
COSINES, SINES = np.cos(THETA), np.sin(THETA)
FOOTPRINTS = [("joseph", 30), ("pixel", 30), ("pixel", 12)]
CHUNKS = [("joseph", 30, 1), ("joseph", 30, 100), ("pixel", 30, 11), ("pixel", 30, None), ("pixel", 12, 3)]


def dense_matrix(size, num_detectors, footprint):
    """Weights max(0, 1 - |x cos - y sin - t| / h) / h from their definition, (angles, detectors, y, x)."""
    offsets = np.arange(size) - size // 2
    t = np.arange(num_detectors) - num_detectors // 2
    cos, sin = (values[:, None, None, None] for values in (COSINES, SINES))
    half_width = cos if footprint == "joseph" else 1.0
    distance = offsets * cos - offsets[:, None] * sin - t[:, None, None]
    return np.maximum(0.0, 1.0 - np.abs(distance) / half_width) / half_width


def random_images(size=21):
    return np.random.default_rng(0).standard_normal((size, size, 4, 2), dtype=np.float32)


@pytest.mark.parametrize(("footprint", "num_detectors"), FOOTPRINTS)
def test_all_forms_equal_the_dense_matrix(footprint, num_detectors):
    images = jnp.asarray(random_images())
    views = jnp.asarray(np.random.default_rng(1).standard_normal((11, num_detectors, 4, 2), dtype=np.float32))
    matrix = dense_matrix(21, num_detectors, footprint)
    projected = np.einsum("kdyx,yxob->kdob", matrix, images)
    for form in (radon_projector.project_by_rows, radon_projector.project_by_angles):
        sums = jax.jit(lambda x, f=form: f(x, COSINES, SINES, num_detectors, footprint))(images)
        np.testing.assert_allclose(sums, projected, atol=3e-5)
    image = jax.jit(lambda y: radon_backprojector.backproject(y, COSINES, SINES, 21, footprint))(views)
    np.testing.assert_allclose(image, np.einsum("kdyx,kdob->yxob", matrix, views), atol=3e-5)


@pytest.mark.parametrize(
    ("footprint", "num_detectors", "angles_per_chunk"),
    [
        pytest.param(*case, marks=() if case in CHUNKS else pytest.mark.exhaustive)
        for footprint in FOOTPRINTS
        for case in ((*footprint, number) for number in (1, 3, 11, 100, None))
    ],
)
def test_chunks_of_angles_equal_the_scan_over_rows(footprint, num_detectors, angles_per_chunk):
    images, geometry = jnp.asarray(random_images()), (COSINES, SINES, num_detectors, footprint)
    compile_as_users = functools.partial(jax.jit, compiler_options={"xla_cpu_use_fusion_emitters": True})
    by_rows = np.asarray(compile_as_users(lambda x: radon_projector.project_by_rows(x, *geometry))(images))
    by_angles = compile_as_users(lambda x: radon_projector.project_by_angles(x, *geometry, angles_per_chunk))(
        images
    )
    np.testing.assert_allclose(by_angles, by_rows, atol=1e-6 * np.abs(by_rows).max())


@pytest.mark.parametrize(
    ("size", "num_detectors", "num_images", "expected"),
    [(513, 725, 128, 5), (64, 91, 32, 1440), (1025, 1449, 4096, 1)],
)
def test_default_chunk_fills_a_gibibyte(size, num_detectors, num_images, expected):
    assert radon_projector.default_angles_per_chunk(size, num_detectors, num_images) == expected


def loop_state_shapes(platform):
    """Shapes in the loops of the program that would be compiled for a platform."""
    shape = jax.ShapeDtypeStruct((2, 20, 20), np.float32)
    traced = jax.jit(lambda x: radon.project(x, 16, angles_per_chunk=2)).trace(shape)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    return [line for line in text.splitlines() if "stablehlo.while" in line]


def test_accelerators_get_the_chunks_and_cpus_the_rows():
    """Five base angles in chunks of two make three chunks; 21 rows in blocks of eight three blocks."""
    sums, blocks = "tensor<5x29x4x2xf32>", "tensor<3x8x25x4x2xf32>"
    results = "tensor<3x2x29x4x2xf32>"
    (cpu,) = loop_state_shapes("cpu")
    assert sums in cpu and results not in cpu
    for platform in ("cuda", "rocm", "tpu"):
        (loop,) = loop_state_shapes(platform)
        assert results in loop and sums not in loop and blocks not in loop


@pytest.mark.parametrize("num_devices", [4, pytest.param(8, marks=pytest.mark.exhaustive)])
def test_chunks_of_angles_of_a_split_batch_are_the_same_without_communication(num_devices):
    """The form for accelerators; under jit, and as one program per device, as with --compile pmap."""
    images = np.random.default_rng(0).standard_normal((21, 21, 4, 8), dtype=np.float32)
    mesh = jax.make_mesh((num_devices,), (types.DATA_AXIS,), axis_types=(AxisType.Auto,))
    spec = P(None, None, None, types.DATA_AXIS)
    split = jax.device_put(images, NamedSharding(mesh, spec))

    def project(x):
        return radon_projector.project_by_angles(x, COSINES, SINES, 30, "joseph", 3)

    alone = np.asarray(jax.jit(project)(images))
    compiled = jax.jit(project).lower(split).compile()
    np.testing.assert_allclose(compiled(split), alone, atol=1e-6 * np.abs(alone).max())
    assert not collectives.list_collectives(compiled.as_text())
    mapped = jax.jit(jax.shard_map(project, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_allclose(mapped(images), alone, atol=1e-6 * np.abs(alone).max())


def test_chunks_change_nothing_but_speed():
    images = random_images()[..., 0].transpose(2, 0, 1)
    np.testing.assert_array_equal(radon.project(images, 12, angles_per_chunk=1), radon.project(images, 12))
