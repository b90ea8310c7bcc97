"""Every paper on a mesh that splits depth: one device's numbers, or one line where there is no depth."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments.__main__ import main
from experiments.aneurysm.data import context_shape
from experiments.verbs import list_papers, papers, runs
from experiments.verbs.errors import UserError
from experiments.verbs.options import MeshOptions, RunOptions
from jaxmed.bench import collectives
from jaxmed.train import fit, mesh

CHANGES = {
    "aneurysm": {},
    # As deep as the paper's patches, a depth that four devices do not divide.
    "fsnet": {
        "heart": dataclasses.replace(papers.find_paper("fsnet").presets["tiny"].heart, patch=(6, 8, 8))
    },
    "mpunet": {"method": "unet_3d", "packing": "turns", "num_repeats": 1},
    "stylegan3d": {},
}
"""What differs from the tiny presets of the papers that train on volumes."""

COLLECTED = {
    "aneurysm": lambda config: [((config.batch_size, 24, *context_shape(config)[1:]),)],  # 22, filled up
    "fsnet": lambda config: [],
    # Images and labels of every repeat; each has a program of its own, and one shows it.
    "mpunet": lambda config: 2 * config.num_repeats * [((config.batch_size, *(config.patch_size,) * 3),)],
}
"""What each device has whole: boxes and patches from which augmentation may take voxels anywhere."""


def tiny(paper):
    return papers.find_preset(papers.find_paper(paper), "tiny")


def draw(shapes):
    """A batch that no phantom has to be made for."""
    rng = np.random.default_rng(0)

    def draw_one(leaf):
        is_float = np.issubdtype(leaf.dtype, np.floating)
        values = rng.uniform(size=leaf.shape) if is_float else rng.integers(0, 2, leaf.shape)
        return values.astype(leaf.dtype)

    return {name: draw_one(leaf) for name, leaf in shapes.items()}


def fill(shapes):
    """A first state without running the initialisers: kernels of unit gain, zeros for the optimizer."""
    rng = np.random.default_rng(1)

    def fill_one(path, leaf):
        if "opt_state" in jax.tree_util.keystr(path) or not np.issubdtype(leaf.dtype, np.floating):
            return np.zeros(leaf.shape, leaf.dtype)
        values = rng.normal(size=leaf.shape)
        gain = np.prod(leaf.shape[-5:-1]) ** -0.5
        return (values * gain if leaf.ndim > 2 else 0.5 + 0.1 * values).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill_one, shapes)


def run_steps(paper, config, space, num_steps=2):
    """The metrics of some steps, Adam's means of the gradients after the first, and what was moved."""
    experiment = papers.find_paper(paper)
    algorithm, batch = experiment.make_algorithm(config, None), draw(experiment.example_batch(config))
    devices = mesh.make_mesh(1, space)
    state = fill(jax.eval_shape(algorithm.init, jax.random.key(0), batch))
    state = mesh.replicate(state, devices)
    placed = mesh.put_batch(batch, devices, algorithm.volumes)
    keys = [mesh.replicate(jax.random.key(number), devices) for number in range(num_steps)]
    step = fit.compile_step(algorithm, devices).lower(state, placed, keys[0]).compile()
    found, seen, gradients = collectives.list_collectives(step.as_text()), [], {}
    for key in keys:
        state, metrics = step(state, placed, key)
        seen.append(jax.device_get(metrics))
        gradients = gradients or {
            jax.tree_util.keystr(path): np.asarray(leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path(state)
            if ".mu" in jax.tree_util.keystr(path)
        }
    return seen, gradients, found


@pytest.mark.parametrize("paper", COLLECTED)  # stylegan3d: tests/models/test_style_gan_space.py
def test_depth_over_devices_gives_the_numbers_of_one(paper):
    config = dataclasses.replace(tiny(paper), **CHANGES[paper])
    wanted, gradients, nothing = run_steps(paper, config, 1)
    seen, split_gradients, moved = run_steps(paper, config, 4)
    assert nothing == []
    for one, four in zip(wanted, seen, strict=True):
        assert one.keys() == four.keys()
        for name, value in one.items():
            np.testing.assert_allclose(four[name], value, rtol=1e-5, atol=1e-7, err_msg=name)
    assert gradients
    whole, split = (np.concatenate([np.ravel(x) for x in g.values()]) for g in (gradients, split_gradients))
    assert np.linalg.norm(split - whole) < 1e-5 * np.linalg.norm(whole)
    assert [one.shapes for one in moved if one.kind == "all-gather"] == COLLECTED[paper](config)
    assert "collective-permute" in {one.kind for one in moved}  # the borders of the parts


def all_cases():
    for paper in papers.paper_names():
        experiment, changes = papers.find_paper(paper), CHANGES.get(paper, {})
        for method in list_papers.methods(experiment) or (None,):
            own = {} if method is None else {experiment.method_field: method}
            yield paper, own.values(), dataclasses.replace(tiny(paper), **{**changes, **own})


def test_papers_whose_training_has_no_depth_refuse_to_split_it():
    options, accepted = RunOptions(mesh=MeshOptions(data=1, space=2)), []
    for paper, method, config in all_cases():
        try:
            runs.make_mesh(runs.RunName(paper, "tiny", config, 0), options)
            accepted.append((paper, *method))
        except UserError as error:
            assert str(error).startswith(f"--mesh.space 2: the training of {paper}"), error
    assert {paper for paper, *_ in accepted} == set(CHANGES)
    assert [own for own in accepted if own[0] == "mpunet"] == [("mpunet", "unet_3d")]


def test_command_says_so_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("experiments.__main__._prepare", lambda options=None: None)
    command = ["train", "rhvae", "tiny", "--method", "vae", "--mesh.space", "2", "--workdir", str(tmp_path)]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "error: --mesh.space 2: the training of rhvae with --method vae has no depth to split; wanted 1\n"
    )
    assert not list(tmp_path.rglob("config.json"))
