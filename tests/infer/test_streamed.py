"""Whole sets streamed through the mesh: order, one compilation, other meshes."""

import numpy as np

from jaxmed.infer.streamed import Streamed


def test_changing_variables_share_one_compilation_and_meshes_may_differ(replicate):
    traced = []

    def function(variables, batch):
        traced.append(batch["x"].shape)
        return variables["factor"] * batch["x"] + batch["y"][:, None]

    examples = {"x": np.arange(22, dtype=np.float32).reshape(11, 2), "y": np.arange(11, dtype=np.float32)}
    streamed = Streamed(function, 4)
    for factor, devices in ((2, 1), (3, 1), (3, 4)):
        variables = replicate({"factor": np.float32(factor)}, devices, 1)
        wanted = factor * examples["x"] + examples["y"][:, None]
        np.testing.assert_array_equal(streamed(variables, examples), wanted)
    assert len(traced) == 2
