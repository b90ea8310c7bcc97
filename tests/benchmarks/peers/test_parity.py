import numpy as np
import pytest

from benchmarks.peers import parity


def test_kernels_change_their_layout():
    generator = np.random.default_rng(0)
    dense, conv, up = (generator.standard_normal(s) for s in ((5, 4), (5, 4, 3, 3), (4, 5, 2, 2)))
    arrays = {"weight:a.weight": dense, "weight:conv.weight": conv, "weight:upsample.weight": up}
    template = {
        "a": {"kernel": np.zeros((4, 5))},
        "conv": {"kernel": np.zeros((3, 3, 4, 5))},
        "upsample": {"kernel": np.zeros((2, 2, 4, 5))},
    }
    tree = parity.to_flax(template, arrays)
    np.testing.assert_array_equal(tree["a"]["kernel"], dense.T)
    np.testing.assert_array_equal(tree["conv"]["kernel"][2, 1, 3], conv[:, 3, 2, 1])
    # A transposed convolution spreads an element with its window, a flax kernel meets it from the other end.
    np.testing.assert_array_equal(tree["upsample"]["kernel"][1, 0, 3], up[3, :, 0, 1])


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"a/kernel: \(3, 5\) in flax, \(4, 5\)"):
        parity.to_flax({"a": {"kernel": np.zeros((3, 5))}}, {"weight:a.weight": np.zeros((5, 4))})


def test_errors_are_relative():
    assert parity.relative_error(np.array([1.0, 2.2]), np.array([1.0, 2.0])) == pytest.approx(0.2 / 5**0.5)
    theirs = {"large": np.array([1000.0]), "noise": np.array([1e-6]), "small": np.array([10.0])}
    ours = {"large": np.array([1000.0]), "noise": np.array([-1e-6]), "small": np.array([10.1])}
    assert parity.worst_leaf(ours, theirs) == pytest.approx(0.1 / 11, rel=1e-3)


def test_channels_come_and_go():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(parity.channels_last(parity.channels_first(x)), x)
    assert parity.channels_first(x).shape == (2, 5, 3, 4)
