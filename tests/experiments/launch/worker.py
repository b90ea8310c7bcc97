"""Trains a network of four weights as one of several processes, and misbehaves on request.

Each process writes the losses and the indices that it saw, a line per step, into <folder>/<process>.jsonl.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from data_pipelines.index_plan import IndexPlan
from data_pipelines.pipeline import make_batches
from jaxmed.algorithms.supervised import supervised
from jaxmed.ops.example_keys import example_keys
from jaxmed.train import fit, hosts, mesh
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.preemption import Preemption
from jaxmed.train.watchdog import Watchdog

PLAN = IndexPlan(num_examples=20, batch_size=12, seed=3)
FAULTY_STEP = 3


def load(index, generator):
    x = np.random.default_rng(index).normal(size=3) + 0.1 * generator.normal(size=3)
    return {"x": x.astype(np.float32), "y": x.sum(keepdims=True).astype(np.float32), "index": np.int32(index)}


class Line(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1)(x)


def jitter(batch, key):
    draw = jax.vmap(lambda key: jax.random.normal(key, (3,)))
    return batch["x"] + 0.1 * draw(example_keys(key, batch["x"].shape[0])), batch["y"]


ALGORITHM = supervised(
    Line(), optax.adam(0.05), prepare=jitter, loss=lambda out, y: jnp.square(out - y)[:, 0]
)


def misbehave(fault):
    """Does what `fault` names; the others learn of it by themselves."""
    print("now", fault, flush=True)
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "frozen":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "stalled":
        time.sleep(3600)
    elif fault == "failing":
        raise RuntimeError("a loader that fails")
    elif fault == "preempted":
        os.kill(os.getpid(), signal.SIGTERM)


def make_local_batches(first_step, options, lines):
    batches = make_batches(
        load,
        PLAN,
        first_step=first_step,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        num_threads=2,
        executor="threads",
    )
    for step, batch in enumerate(batches, first_step):
        if step == FAULTY_STEP and jax.process_index() == options.faulty_process:
            misbehave(options.fault)
        time.sleep(options.step_seconds)
        lines.append({"step": step, "indices": batch["index"].tolist()})
        yield batch


def train(options):
    """Goes on from the latest checkpoint in the folder up to `options.steps`."""
    devices = mesh.make_mesh()
    lines: list[dict] = []
    losses: dict[int, float] = {}
    with Checkpoints(options.folder / "checkpoints", identity={"plan": "3"}) as checkpoints:
        zeros = {name: np.zeros((PLAN.batch_size, size), np.float32) for name, size in (("x", 3), ("y", 1))}
        state = jax.jit(ALGORITHM.init, out_shardings=mesh.replicated(devices))(jax.random.key(0), zeros)
        if checkpoints.latest_step() is not None:
            state = checkpoints.restore(state, devices)
        watchdogs: list[Watchdog] = []

        def observe(step, state, metrics):
            losses[step] = float(metrics["loss"])
            # From the first step on, since compilation may take longer than the tests' short limits.
            if not watchdogs:
                watchdogs.append(Watchdog(options.stall_seconds))
            watchdogs[0](step, state, metrics)

        with Preemption() as preemption:
            state = fit.fit(
                ALGORITHM,
                state,
                make_local_batches(int(state.step), options, lines),
                key=jax.random.key(1),
                num_steps=options.steps,
                mesh=devices,
                observers=[observe],
                should_stop=preemption,
            )
        for watchdog in watchdogs:
            watchdog.close()
        checkpoints.save(int(state.step), state)
    print("at step", int(state.step), flush=True)
    with (options.folder / f"{jax.process_index()}.jsonl").open("a") as file:
        for line in lines:
            if line["step"] < int(state.step):
                processes = jax.process_count()
                file.write(
                    json.dumps({**line, "loss": losses[line["step"] + 1], "processes": processes}) + "\n"
                )


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--fault")
    parser.add_argument("--faulty-process", type=int)
    parser.add_argument("--step-seconds", type=float, default=0.0)
    parser.add_argument("--stall-seconds", type=float, default=60.0)
    parser.add_argument("--heartbeat-seconds", type=int, default=60)
    parser.add_argument("--hosts.coordinator", dest="coordinator")
    parser.add_argument("--hosts.num-processes", dest="num_processes", type=int)
    parser.add_argument("--hosts.process-id", dest="process_id", type=int)
    options = parser.parse_args(arguments)
    hosts.initialize(
        hosts.Hosts(
            options.coordinator,
            options.num_processes,
            options.process_id,
            connect_seconds=60,
            heartbeat_seconds=options.heartbeat_seconds,
        )
    )
    train(options)
    return 0


if __name__ == "__main__":
    hosts.leave(main(sys.argv[1:]))
