"""The loop: resume, device counts, compile modes, refresh, one compilation."""

import functools
import itertools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import struct

from jaxmed.algorithms.supervised import supervised
from jaxmed.ops.example_keys import example_keys
from jaxmed.train import fit, guard, mesh, net

NUM_EXAMPLES, BATCH_SIZE = 64, 8


class Perceptron(nn.Module):
    features: int = 1
    normalise: bool = False

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = nn.Dense(16, use_bias=not self.normalise)(x)
        if self.normalise:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(self.features)(nn.relu(x))


def make_batches(first_step=0):
    """Step s always gives the same batch."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(NUM_EXAMPLES, 4)).astype(np.float32)
    targets = inputs[:, :1] * 2 - inputs[:, 1:2]
    for step in itertools.count(first_step):
        chosen = np.random.default_rng([1, step]).integers(0, NUM_EXAMPLES, BATCH_SIZE)
        yield {"image": inputs[chosen], "target": targets[chosen]}


def jitter(batch, key):
    """Random per example, as an augmentation is."""
    keys = example_keys(key, len(batch["image"]))
    noise = jax.vmap(lambda k: 0.1 * jax.random.normal(k, (4,)))(keys)
    return batch["image"] + noise, batch["target"]


def squared_error(outputs, targets):
    return jnp.square(outputs - targets).mean(axis=-1)


@functools.cache
def make_supervised(normalise=False, **options):
    model = Perceptron(normalise=normalise)
    return supervised(model, optax.adam(1e-2), prepare=jitter, loss=squared_error, **options)


@struct.dataclass
class AdversarialState:
    step: jax.Array
    generator: net.NetState
    critic: net.NetState


@functools.cache
def make_adversarial():
    """Two networks and an inner scan over critic updates: another shape of step than supervised."""
    optimizer, generator, critic = optax.adam(1e-2), Perceptron(4), Perceptron(1)

    def critic_loss(params, stats, fake, real):
        real_score, _ = net.apply_train(critic, params, stats, real)
        fake_score, _ = net.apply_train(critic, params, stats, fake)
        return (jax.nn.softplus(-real_score) + jax.nn.softplus(fake_score)).mean(), (stats, {})

    def generator_loss(params, stats, critic_params, noise):
        fake, _ = net.apply_train(generator, params, stats, noise)
        score, _ = net.apply_train(critic, critic_params, {}, fake)
        return jax.nn.softplus(-score).mean(), (stats, {})

    def draw(key, count):
        return jax.vmap(lambda k: jax.random.normal(k, (3,)))(example_keys(key, count))

    def init(key, batch):
        keys = jax.random.split(key)
        return AdversarialState(
            jnp.zeros((), jnp.int32),
            net.init_net(generator, optimizer, keys[0], jnp.zeros((1, 3))),
            net.init_net(critic, optimizer, keys[1], batch["image"]),
        )

    def step(state, batch, key):
        key_critic, key_generator = jax.random.split(key)
        count = len(batch["image"])

        def update_critic(critic_net, key):
            fake, _ = net.apply_train(generator, state.generator.params, {}, draw(key, count))
            critic_net, value, _ = net.update_net(critic_net, optimizer, critic_loss, fake, batch["image"])
            return critic_net, value

        critic_net, values = jax.lax.scan(update_critic, state.critic, jax.random.split(key_critic, 2))
        generator_net, value, _ = net.update_net(
            state.generator, optimizer, generator_loss, critic_net.params, draw(key_generator, count)
        )
        metrics = {"critic_loss": values.mean(), "generator_loss": value}
        return AdversarialState(state.step + 1, generator_net, critic_net), metrics

    return fit.Algorithm(init, step)


ALGORITHMS = {
    "supervised": make_supervised,
    "batch_norm": lambda: make_supervised(normalise=True),
    "adversarial": make_adversarial,
}


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return ALGORITHMS[request.param]()


@functools.cache
def initial(algorithm):
    """Where every training here starts."""
    return jax.device_get(jax.jit(algorithm.init)(jax.random.key(0), next(make_batches())))


def train(algorithm, num_steps, *, num_devices=1, state=None, mode="jit", **options):
    if state is None:
        state = initial(algorithm)
    seen = []
    state = fit.fit(
        algorithm,
        state,
        make_batches(int(state.step)),
        key=jax.random.key(1),
        num_steps=num_steps,
        mesh=mesh.make_mesh(num_devices),
        mode=mode,
        observers=[lambda step, state, metrics: seen.append((step, jax.device_get(metrics)))],
        **options,
    )
    return jax.device_get(state), seen


def test_step_keeps_shapes_and_compiles_once(algorithm):
    devices = mesh.make_mesh(1)
    batch = mesh.put_batch(next(make_batches()), devices)
    state, key = jax.device_put((initial(algorithm), jax.random.key(1)), mesh.replicated(devices))
    expected = jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), state)
    # A function of its own: what the other tests compiled is not counted.
    algorithm = algorithm._replace(step=functools.partial(algorithm.step))
    step = fit.compile_step(algorithm, devices)
    for _ in range(3):
        state, _ = step(state, batch, key)
    assert jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), state) == expected
    assert step._cache_size() == 1


def test_resumed_run_equals_straight_run(algorithm):
    straight, seen = train(algorithm, 12)
    half, _ = train(algorithm, 7)
    resumed, seen_later = train(algorithm, 12, state=half)
    chex.assert_trees_all_equal(straight, resumed)
    assert seen[7:] == seen_later


def test_four_devices_equal_one(algorithm):
    one, seen_one = train(algorithm, 8)
    four, seen_four = train(algorithm, 8, num_devices=4)
    chex.assert_trees_all_close(one, four, rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_close(seen_one, seen_four, rtol=1e-5)


@pytest.mark.parametrize("name", ["supervised", "adversarial"])
def test_per_device_programs_equal_the_global_program(name):
    algorithm = ALGORITHMS[name]()
    one, seen_one = train(algorithm, 8)
    per_device, seen_per_device = train(algorithm, 8, num_devices=4, mode="pmap")
    chex.assert_trees_all_close(one, per_device, rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_close(seen_one, seen_per_device, rtol=1e-5)


def test_per_device_batch_statistics_are_local():
    """With normalisation over a device's own two examples the result must differ from the global one."""
    algorithm = make_supervised(normalise=True)
    together, _ = train(algorithm, 3, num_devices=4)
    apart, _ = train(algorithm, 3, num_devices=4, mode="pmap")
    gap = jax.tree.map(lambda a, b: np.abs(a - b).max(), together.net.batch_stats, apart.net.batch_stats)
    assert max(jax.tree.leaves(gap)) > 1e-3


def test_per_device_gradient_is_the_mean_of_the_devices_gradients():
    """Plain gradient descent on a linear loss: the update is the mean over all examples."""

    class Linear(nn.Module):
        @nn.compact
        def __call__(self, x, *, train: bool):
            return nn.Dense(1, use_bias=False)(x)

    algorithm = supervised(
        Linear(),
        optax.sgd(1.0),
        prepare=lambda batch, key: (batch["image"], batch["target"]),
        loss=lambda outputs, targets: outputs[:, 0],
    )
    batch = next(make_batches())
    before = jax.device_get(algorithm.init(jax.random.key(0), batch))
    after, _ = train(algorithm, 1, num_devices=4, mode="pmap")
    moved = jax.tree.leaves(before.net.params)[0] - jax.tree.leaves(after.net.params)[0]
    np.testing.assert_allclose(moved[:, 0], batch["image"].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "num_devices", "mode"),
    [
        ("supervised", 1, "jit"),
        pytest.param("adversarial", 1, "jit", marks=pytest.mark.exhaustive),
        pytest.param("supervised", 4, "jit", marks=pytest.mark.exhaustive),
        pytest.param("batch_norm", 4, "jit", marks=pytest.mark.exhaustive),
        ("batch_norm", 4, "pmap"),
    ],
)
def test_steps_dispatched_together_equal_single_steps_bit_for_bit(name, num_devices, mode):
    """Resumed at step 2 they come as 2-6, 6-10, 10, 11: groups and what is left over."""
    algorithm = ALGORITHMS[name]()
    straight, seen = train(algorithm, 12, num_devices=num_devices, mode=mode)
    start, _ = train(algorithm, 2, num_devices=num_devices, mode=mode)
    together, seen_later = train(
        algorithm, 12, state=start, num_devices=num_devices, mode=mode, steps_per_dispatch=4
    )
    chex.assert_trees_all_equal(straight, together)
    assert seen[2:] == seen_later


def test_observers_see_every_step_and_the_state_after_a_dispatch():
    algorithm = make_supervised()
    seen = []
    fit.fit(
        algorithm,
        initial(algorithm),
        make_batches(),
        key=jax.random.key(1),
        num_steps=7,
        mesh=mesh.make_mesh(1),
        steps_per_dispatch=3,
        observers=[lambda step, state, metrics: seen.append((step, state and int(state.step), *metrics))],
    )
    assert seen == [
        (1, None, "loss"),
        (2, None, "loss"),
        (3, 3, "loss"),
        (4, None, "loss"),
        (5, None, "loss"),
        (6, 6, "loss"),
        (7, 7, "loss"),
    ]


def test_stop_is_asked_for_after_every_dispatch_and_takes_no_further_batch():
    asked, taken = [], []
    algorithm = make_supervised()
    counted = (taken.append(1) or batch for batch in make_batches())
    state = fit.fit(
        algorithm,
        initial(algorithm),
        counted,
        key=jax.random.key(1),
        num_steps=20,
        mesh=mesh.make_mesh(1),
        steps_per_dispatch=3,
        should_stop=lambda step: asked.append(step) or step >= 6,
    )
    assert (asked, int(state.step), len(taken)) == ([3, 6], 6, 6)


def test_no_dispatch_goes_beyond_a_refresh():
    algorithm = make_supervised()
    calls = []

    def refresh(state):
        calls.append(int(state.step))
        return state

    refreshed = algorithm._replace(refresh=refresh, refresh_every=5)
    straight, _ = train(refreshed, 11)
    together, seen = train(refreshed, 11, steps_per_dispatch=3)
    assert calls == [0, 5, 10] * 2
    assert [step for step, _ in seen] == list(range(1, 12))
    chex.assert_trees_all_equal(straight, together)


@pytest.mark.parametrize(("mode", "length"), [("jit", 1), ("pmap", 1), ("jit", 3)])
def test_the_whole_state_is_donated(mode, length):
    algorithm = make_supervised(normalise=True)
    devices = mesh.make_mesh(2)
    batches = [next(make_batches(step)) for step in range(length)]
    state, key = mesh.replicate((initial(algorithm), jax.random.key(1)), devices)
    if length == 1:
        step = fit.compile_step(algorithm, devices, mode)
        arguments = (mesh.put_batch(batches[0], devices), key)
    else:
        step = fit.compile_steps(algorithm, devices, mode, length)
        arguments = (mesh.put_batches(batches, devices), key, np.uint32(0))
    memory = step.lower(state, *arguments).compile().memory_analysis()
    assert memory.alias_size_in_bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    step(state, *arguments)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("length", [pytest.param(1, marks=pytest.mark.exhaustive), 2])
def test_batches_are_sent_before_the_steps_before_them_are_waited_for(length):
    """The host waits for a dispatch when two more are under way and the batches of the third are there."""
    events = []

    class Watch(guard.SkippedSteps):
        def check(self, step, finite):
            events.append(f"wait {(step - 1) // length + 1}")

    algorithm = make_supervised()
    batches = (events.append("load") or batch for batch in make_batches())
    fit.fit(
        algorithm,
        initial(algorithm),
        batches,
        key=jax.random.key(1),
        num_steps=5 * length,
        mesh=mesh.make_mesh(1),
        skipped=Watch(),
        steps_per_dispatch=length,
    )
    expected = ["load", "load", "load", "load", "wait 1", "load", "wait 2", "wait 3", "wait 4", "wait 5"]
    assert events == [event for event in expected for _ in range(length)]


def test_refresh_runs_before_the_steps_it_divides():
    algorithm = make_supervised()
    calls = []

    def refresh(state):
        calls.append(int(state.step))
        return state

    train(algorithm._replace(refresh=refresh, refresh_every=3), 7)
    assert calls == [0, 3, 6]


def test_finished_state_comes_back_unchanged():
    state, _ = train(make_supervised(), 3)
    again, seen = train(make_supervised(), 3, state=state)
    chex.assert_trees_all_equal(state, again)
    assert seen == []


def test_loop_takes_only_the_batches_it_needs():
    algorithm = make_supervised()
    batches = make_batches()
    taken = []
    counted = (taken.append(1) or batch for batch in batches)
    state = initial(algorithm)
    fit.fit(algorithm, state, counted, key=jax.random.key(1), num_steps=5, mesh=mesh.make_mesh(1))
    assert len(taken) == 5


def test_weights_leave_padded_examples_out():
    algorithm = supervised(
        Perceptron(),
        optax.sgd(0.1),
        prepare=lambda batch, key: (batch["image"], batch["target"]),
        loss=squared_error,
    )
    batch = next(make_batches())
    step, state = jax.jit(algorithm.step), initial(algorithm)
    part = {name: array[:5] for name, array in batch.items()}
    padded = {**batch, "weight": np.array([1] * 5 + [0] * 3, np.float32)}
    expected, _ = step(state, part, jax.random.key(1))
    found, _ = step(state, padded, jax.random.key(1))
    chex.assert_trees_all_close(expected, found, rtol=1e-5, atol=1e-7)


def test_unknown_mode_and_space_with_pmap_are_refused():
    algorithm = make_supervised()
    with pytest.raises(ValueError, match="unknown compile mode 'vmap'"):
        fit.compile_step(algorithm, mesh.make_mesh(1), "vmap")
    with pytest.raises(ValueError, match=r"mesh\.space must be 1, not 2"):
        fit.compile_step(make_supervised(volumes=("image",)), mesh.make_mesh(2, 2), "pmap")


def test_mesh_that_splits_depth_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match=r"mesh\.space must be 1, not 2: the algorithm names no volumes"):
        fit.compile_step(make_supervised(), mesh.make_mesh(2, 2))
    with pytest.raises(ValueError, match=r"mesh\.space must be 1, not 4: the algorithm names no volumes"):
        fit.compile_steps(make_supervised(), mesh.make_mesh(2, 4), "jit", 2)
