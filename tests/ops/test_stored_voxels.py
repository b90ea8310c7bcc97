import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines import voxel_encoding
from jaxmed.ops import stored_voxels


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_device_decodes_to_the_same_values(dtype):
    rng = np.random.default_rng(0)
    volumes = rng.uniform(-1000.0, 3000.0, (3, 4, 5, 6)).astype(np.float32)
    tolerance = 1.0 if dtype == np.int16 else 0.0
    entries = [voxel_encoding.encode("image", volume, tolerance=tolerance) for volume in volumes]
    stored, scaling = (np.stack([entry[name] for entry in entries]) for name in ("image", "image_scaling"))
    assert stored.dtype == dtype
    expected = [voxel_encoding.decode(entry["image"], entry["image_scaling"]) for entry in entries]
    # The device may multiply and add with one rounding where NumPy makes two.
    ours = jax.jit(stored_voxels.decode)(jnp.asarray(stored), jnp.asarray(scaling))
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, np.stack(expected), rtol=0, atol=3e-4)
