"""Every paper's network, exported and loaded again, computes what it computed before."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from experiments.verbs import papers, runs
from jaxmed.deploy import bundle

GIVING = [name for name in papers.paper_names() if papers.find_paper(name).make_inference is not None]
SAMPLE = ("deepmcat", "fbpaug")
METHODS = {"rhvae": "manifold"}
"""Where the tiny preset's own method has nothing to give away."""


@functools.cache
def inference_of(paper):
    """The network of the tiny preset with its parameters as initialised."""
    experiment = papers.find_paper(paper)
    config = experiment.presets["tiny"]
    if paper in METHODS:
        config = dataclasses.replace(config, **{experiment.method_field: METHODS[paper]})
    state = jax.jit(functools.partial(runs.init_state, experiment, config))(jax.random.key(0))
    return experiment, experiment.make_inference(config, state)


@pytest.mark.parametrize(
    "paper",
    [pytest.param(paper, marks=() if paper in SAMPLE else pytest.mark.exhaustive) for paper in GIVING],
)
def test_exported_network_gives_the_bits_of_the_original(paper, tmp_path):
    experiment, inference = inference_of(paper)
    files = bundle.make_bundle(
        inference.function,
        inference.variables,
        input_shape=inference.input_shape,
        input_dtype=inference.input_dtype,
        inputs=inference.inputs,
        outputs=inference.outputs,
        about={"title": experiment.title},
    )
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    exported, original = bundle.load_exported(tmp_path), jax.jit(inference.function)
    generator = np.random.default_rng(0)
    for count in (1, 3):
        shape = (count, *inference.input_shape[1:])
        inputs = generator.normal(0, 500, shape)
        if np.issubdtype(inference.input_dtype, np.integer):
            limits = np.iinfo(inference.input_dtype)
            inputs = inputs.clip(limits.min, limits.max)
        inputs = inputs.astype(inference.input_dtype)
        outputs, wanted = exported(inputs), original(inference.variables, inputs)
        for array, other in zip(jax.tree.leaves(outputs), jax.tree.leaves(wanted), strict=True):
            assert np.array_equal(array, other)
            assert np.std(other) > 0
