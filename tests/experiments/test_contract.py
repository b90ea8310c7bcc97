"""Every paper and every method through the same checks."""

import dataclasses
import functools
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.readers.errors import ReadError
from experiments.verbs import configs, list_papers, options, papers, runs
from experiments.verbs import training as verbs_training
from jaxmed.train import fit, mesh

CASES = [
    (name, method)
    for name in papers.paper_names()
    for method in (list_papers.methods(papers.find_paper(name)) or (None,))
]


def name_case(case):
    return "-".join(filter(None, case))


def make_config(paper, method, preset="tiny"):
    experiment = papers.find_paper(paper)
    config = papers.find_preset(experiment, preset)
    return config if method is None else dataclasses.replace(config, **{experiment.method_field: method})


@pytest.fixture(scope="module")
def make_data(cache_dir):
    @functools.cache
    def make(paper, method, seed=0):
        return papers.find_paper(paper).make_data(
            make_config(paper, method), seed=seed, data_dir=None, cache_dir=cache_dir
        )

    return make


@pytest.fixture(scope="module", params=CASES, ids=name_case)
def case(request):
    """Of the module's scope, so that the checks of one case follow each other and share its programs."""
    return request.param


def cases_by_step():
    """One case per training step: methods that return the same algorithm differ elsewhere."""
    by_step = {}
    for case in CASES:
        algorithm = papers.find_paper(case[0]).make_algorithm(make_config(*case), None)
        by_step.setdefault((case[0], algorithm), case)
    return list(by_step.values())


@pytest.fixture(scope="module", params=cases_by_step(), ids=name_case)
def step_case(request):
    return request.param


def sample(cases, chosen):
    """All cases, of which the default suite runs those that are chosen."""
    return [
        pytest.param(case, id=name_case(case), marks=() if case in chosen else pytest.mark.exhaustive)
        for case in cases
    ]


def own_steps():
    """Of each paper the step of the method that is named like it, or else the last one."""
    by_paper = {case[0]: case for case in sorted(cases_by_step(), key=lambda case: case[0] == case[1])}
    return set(by_paper.values())


def steps(chosen):
    return pytest.mark.parametrize("step_case", sample(cases_by_step(), chosen), indirect=True)


@pytest.fixture(scope="module")
def compile_step():
    """`fit.compile_step`, which `fit` uses too here, with a memory: methods may share their step."""
    with pytest.MonkeyPatch.context() as patch:
        remembering = functools.cache(fit.compile_step)
        patch.setattr(fit, "compile_step", remembering)
        yield remembering


class Training:
    """The tiny preset's training; its state on the host, so that no run consumes another one's."""

    def __init__(self, experiment, config, data):
        self.data, self.algorithm = data, experiment.make_algorithm(config, data)
        self.example_batch = experiment.example_batch(config)

    @functools.cached_property
    def start(self):
        # As stages of a run start, whose program this is too.
        start, _ = verbs_training.start_anew(
            self.algorithm, jax.random.key(0), self.example_batch, mesh.make_mesh(1)
        )
        return jax.device_get(start())

    @functools.cached_property
    def straight(self):
        return self.run(4)

    def run(self, num_steps, *, state=None, devices=1, mode="jit"):
        """Trains up to that step; gives the state and the metrics of each step."""
        state, seen = self.start if state is None else state, []
        state = fit.fit(
            self.algorithm,
            state,
            self.data.batches(int(state.step)),
            key=jax.random.key(1),
            num_steps=num_steps,
            mesh=mesh.make_mesh(devices),
            mode=mode,
            observers=[lambda step, state, metrics: seen.append(jax.device_get(metrics))],
        )
        return jax.device_get(state), seen


@pytest.fixture(scope="module")
def training(step_case, make_data, compile_step):
    return Training(papers.find_paper(step_case[0]), make_config(*step_case), make_data(*step_case))


@pytest.mark.parametrize("paper", papers.paper_names())
def test_presets_and_tables_are_complete(paper):
    experiment = papers.find_paper(paper)
    assert {"paper", "demo", "tiny"} <= set(experiment.presets)
    run = set()
    for table in experiment.tables.values():
        rows = table.rows(experiment.presets["tiny"])
        assert all(set(row.published) <= set(table.metrics) for row in rows)
        labels = [row.label for row in rows]
        for claim in table.claims:
            assert {claim.left, claim.right, *(claim.over or ())} <= set(labels)
        for comparison in table.comparisons:
            assert comparison.row in labels
        if experiment.method_field is not None:
            run |= {getattr(config, experiment.method_field) for row in rows for config in row.configs}
    assert run == set(list_papers.methods(experiment))


@pytest.mark.parametrize("preset", ["paper", "demo", "tiny"])
def test_configs_survive_json_and_are_hashable(case, preset):
    config = make_config(*case, preset=preset)
    assert configs.from_json(type(config), configs.to_json(config)) == config
    assert isinstance(hash(config), int)


@functools.lru_cache(maxsize=8)
def shapes_around_a_step(algorithm, batch_structure, batch_leaves):
    """Remembered, since methods may share their step, and a large network is traced for seconds."""
    batch, key = jax.tree.unflatten(batch_structure, batch_leaves), jax.random.key(0)
    state = jax.eval_shape(algorithm.init, key, batch)
    return state, *jax.eval_shape(algorithm.step, state, batch, key)


@steps(own_steps())
def test_paper_preset_keeps_shapes(step_case):
    """Nothing is computed: the paper's own sizes, by shapes alone."""
    experiment, config = papers.find_paper(step_case[0]), make_config(*step_case, preset="paper")
    leaves, structure = jax.tree.flatten(experiment.example_batch(config))
    algorithm = experiment.make_algorithm(config, None)
    state, after, metrics = shapes_around_a_step(algorithm, structure, tuple(leaves))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(
        lambda x: (x.shape, x.dtype), after
    )
    assert all(value.shape == () for value in metrics.values())


def test_batches_are_as_announced(case, make_data):
    announced = papers.find_paper(case[0]).example_batch(make_config(*case))
    with np.errstate(all="raise"):
        batch = next(make_data(*case).batches(0))
    assert {name: (array.shape, array.dtype) for name, array in batch.items()} == {
        name: (shape.shape, shape.dtype) for name, shape in announced.items()
    }


@steps(own_steps())
def test_step_compiles_once_and_trains_every_leaf(training, compile_step):
    devices = mesh.make_mesh(1)
    batch = mesh.put_batch(next(training.data.batches(0)), devices)
    state = jax.device_put(training.start, mesh.replicated(devices))
    if training.algorithm.refresh is not None:
        state = mesh.replicate(training.algorithm.refresh(state), devices)
    step = compile_step(training.algorithm, devices, "jit")
    losses = []
    for number in range(12):
        key = jax.device_put(jax.random.key(number), mesh.replicated(devices))
        state, metrics = step(state, batch, key)
        losses.append(metrics["loss"])
    assert step._cache_size() == 1
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < losses[0]
    still = [
        jax.tree_util.keystr(path)
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(training.start),
            jax.tree.leaves(jax.device_get(state)),
            strict=True,
        )
        if np.array_equal(old, new)
    ]
    assert not still


@steps(own_steps())
def test_resumed_run_equals_straight_run(training):
    straight, seen = training.straight
    half, first = training.run(2)
    resumed, rest = training.run(4, state=half)
    chex.assert_trees_all_equal(straight, resumed)
    assert seen == first + rest


OF_OTHERS = {"activelearn", "aneurysm", "boxseg", "mpunet", "stylegan3d"}
"""Papers whose training method, of `jaxmed.algorithms`, another paper has too: fbpaug, or ganeval. The step
of stylegan3d over devices is that of tests/models/test_style_gan_space.py."""


@steps({case for case in own_steps() if case[0] not in OF_OTHERS})
def test_four_devices_equal_one(training):
    _, four = training.run(3, devices=4)
    chex.assert_trees_all_close(training.straight[1][:3], four, rtol=1e-5)


@steps(sorted(own_steps())[:1])
def test_runs_with_one_program_per_device(training):
    """The mode is the business of `fit` and of the operations, which have tests of it."""
    state, seen = training.run(2, devices=4, mode="pmap")
    assert all(np.isfinite(list(metrics.values())).all() for metrics in seen)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def fill(tree):
    """Numbers between 0 and 1 for floating-point leaves, and zeros: nothing is compiled to draw them."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        values = rng.uniform(size=leaf.shape) * np.issubdtype(leaf.dtype, np.floating)
        return jnp.asarray(values, leaf.dtype)

    return jax.tree.map(draw, tree)


def config_of_row(case, table):
    """The case's config as the table's rows have it, who may set more than the method; None without a row."""
    experiment = papers.find_paper(case[0])
    rows = table.rows(experiment.presets["tiny"])
    found = (
        config
        for row in rows
        for config in row.configs
        if case[1] is None or getattr(config, experiment.method_field) == case[1]
    )
    return next(found, None)


def cases_of_tables():
    """The method of the last row of each table."""
    for name in papers.paper_names():
        experiment = papers.find_paper(name)
        for table in experiment.tables.values():
            config = table.rows(experiment.presets["tiny"])[-1].configs[-1]
            yield name, experiment.method_field and getattr(config, experiment.method_field)


@pytest.mark.parametrize("case", sample(CASES, set(cases_of_tables())), indirect=True)
def test_scores_hold_what_the_tables_show(case, make_data, cache_dir):
    experiment = papers.find_paper(case[0])

    def scores_of(config, data):
        init = functools.partial(runs.init_state, experiment, config)
        return experiment.evaluate(config, fill(jax.eval_shape(init, jax.random.key(0))), data)

    found = [scores_of(make_config(*case), make_data(*case))]
    for table in experiment.tables.values():
        claimed = {metric for claim in table.claims for metric in (claim.metric, claim.right_metric)}
        wanted = set(table.metrics) | claimed - {None}
        if not wanted <= set(found[0]):
            # A study of other data or of another kind has columns of its own.
            config = config_of_row(case, table)
            if config is None:
                continue
            try:
                data = experiment.make_data(config, seed=0, data_dir=None, cache_dir=cache_dir)
            except ReadError:
                continue  # a study of the user's own images
            found.append(scores_of(config, data))
            assert wanted <= set(found[-1])
    for scores in found:
        assert all(np.isfinite(list(values.values())).all() and values for values in scores.values())


@pytest.mark.parametrize("paper", [p for p in papers.paper_names() if papers.find_paper(p).run is not None])
def test_run_of_several_stages_is_loaded_as_it_ended(paper, tmp_path, cache_dir, compile_step):
    experiment = papers.find_paper(paper)
    name = runs.RunName(paper, "tiny", experiment.presets["tiny"], 0)
    mesh_options = options.MeshOptions(data=1)
    run_options = options.RunOptions(workdir=tmp_path, cache_dir=cache_dir, mesh=mesh_options)
    folder = runs.run(name, run_options)
    _, _, state = runs.load(folder)
    scores = experiment.evaluate(name.config, state, runs.make_data(experiment, name, run_options))
    assert runs.read_result(folder)["scores"] == json.loads(json.dumps(scores))


def test_order_of_batches_depends_on_the_seed(case, make_data):
    first, other = (next(make_data(*case, seed=seed).batches(0)) for seed in (0, 1))
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)
    assert any(not np.array_equal(one, another) for one, another in pairs)
    assert jnp.shape(first[next(iter(first))]) == jnp.shape(other[next(iter(other))])
