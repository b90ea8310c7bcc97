import ml_dtypes
import numpy as np
import pytest

from jaxmed.deploy import weights


def test_arrays_come_back_bit_for_bit():
    generator = np.random.default_rng(0)
    arrays = {
        "scalar": np.float32(np.pi),
        "empty": np.zeros((0, 3), np.float64),
        "transposed": np.arange(6, dtype=np.int32).reshape(2, 3).T,
        "every second": np.arange(9.0)[::2],
        "big-endian": np.arange(3, dtype=">i8"),
        "bool": generator.random(5) > 0.5,
        "half": generator.random(5).astype(np.float16),
        "nan": np.float32([np.nan, -0.0, np.inf]),
    }
    again = weights.from_bytes(weights.to_bytes(arrays))
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        assert (again[name].shape, again[name].dtype) == (array.shape, array.dtype.newbyteorder("="))
        assert again[name].tobytes() == array.astype(again[name].dtype, order="C").tobytes()


def test_dtypes_that_numpy_does_not_know_are_refused():
    with pytest.raises(ValueError, match="kernel is bfloat16; wanted one of bool, "):
        weights.to_bytes({"kernel": np.zeros(2, ml_dtypes.bfloat16)})


@pytest.mark.parametrize("content", [b"", b"\x80\x04}.", b"\xff" * 64])
def test_what_is_no_safetensors_is_refused(content):
    with pytest.raises(ValueError, match="no safetensors that can be read"):
        weights.from_bytes(content)
