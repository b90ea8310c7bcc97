"""Every paper on a mesh that splits depth: one device's numbers, or one line where there is no depth."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments.__main__ import main
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
    "mpunet": {"method": "unet_3d"},
    "stylegan3d": {},
}
"""What differs from the tiny presets of the papers that train on volumes."""


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


def run_steps(paper, config, space, num_steps=2):
    """The metrics of some steps, Adam's means of the gradients after the first, and what was moved."""
    experiment = papers.find_paper(paper)
    algorithm, batch = experiment.make_algorithm(config, None), draw(experiment.example_batch(config))
    devices = mesh.make_mesh(1, space)
    state = mesh.replicate(jax.jit(algorithm.init)(jax.random.key(0), batch), devices)
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


@pytest.mark.parametrize(
    "paper",
    [
        pytest.param(paper, marks=pytest.mark.exhaustive if paper == "stylegan3d" else ())
        for paper in CHANGES  # of stylegan3d's game there is a test in float64
    ],
)
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
    # What augmentation samples anywhere comes whole to each device: the batch's own arrays, and no others.
    own = jax.tree.leaves(papers.find_paper(paper).example_batch(config))
    gathered = [one for one in moved if one.kind == "all-gather"]
    assert collectives.moved_activations(gathered, own if paper in ("aneurysm", "mpunet") else ()) == []
    assert "collective-permute" in {one.kind for one in moved}  # the borders of the parts


def cases():
    for paper in papers.paper_names():
        experiment = papers.find_paper(paper)
        for method in list_papers.methods(experiment) or (None,):
            yield paper, {} if method is None else {experiment.method_field: method}


def test_papers_whose_batches_have_no_depth_refuse_to_split_it():
    options, accepted = RunOptions(mesh=MeshOptions(data=1, space=2)), []
    for paper, changes in cases():
        config = dataclasses.replace(tiny(paper), **changes)
        try:
            runs.make_mesh(runs.RunName(paper, "tiny", config, 0), options)
            accepted.append((paper, *changes.values()))
        except UserError as error:
            assert str(error).startswith(f"--mesh.space 2: the batches of {paper}"), error
    assert {paper for paper, *_ in accepted} == set(CHANGES)
    assert [own for own in accepted if own[0] == "mpunet"] == [("mpunet", "unet_3d")]


def test_command_says_so_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("experiments.__main__._prepare", lambda options=None: None)
    command = ["train", "rhvae", "tiny", "--method", "vae", "--mesh.space", "2", "--workdir", str(tmp_path)]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        "error: --mesh.space 2: the batches of rhvae with --method vae have no depth to split; wanted 1\n"
    )
    assert not list(tmp_path.iterdir())
