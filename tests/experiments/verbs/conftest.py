"""A paper of one weight, for tests of the verbs: quick to train and with known results."""

import functools
import itertools
from dataclasses import dataclass, replace
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.contract import Claim, Comparison, Data, Experiment, Published, Row, Table
from experiments.verbs import papers
from jaxmed.algorithms.supervised import supervised
from jaxmed.train import fit


@dataclass(frozen=True)
class Config:
    """Fits y = slope * x."""

    slope: Literal["one", "two"] = "one"
    fold: int = 0
    learning_rate: float = 0.05
    num_steps: int = 40
    batch_size: int = 8
    widths: tuple[int, ...] = (1,)


class Weight(nn.Module):
    @nn.compact
    def __call__(self, x, *, train: bool):
        return nn.Dense(1, use_bias=False)(x)


def example_batch(config):
    return {name: jax.ShapeDtypeStruct((config.batch_size, 1), jnp.float32) for name in ("x", "y")}


def make_data(
    config,
    *,
    seed,
    data_dir,
    cache_dir,
    executor="auto",
    process_index=0,
    process_count=1,
    max_bad_cases=0,
):
    slope = {"one": 1.0, "two": 2.0}[config.slope]

    def batches(first_step):
        for step in itertools.count(first_step):
            generator = np.random.default_rng([seed, config.fold, step])
            x = generator.normal(size=(config.batch_size, 1)).astype(np.float32)
            yield {"x": x, "y": slope * x}

    def describe(step):
        return [f"example {step}-{number}" for number in range(config.batch_size)]

    name = "phantom" if data_dir is None else data_dir.name
    return Data(name, batches, evaluation=slope, describe=describe)


def make_algorithm(config, data):
    return learn(config.learning_rate)


@functools.cache
def learn(rate):
    return supervised(
        Weight(),
        optax.sgd(rate),
        prepare=lambda batch, key: (batch["x"], batch["y"]),
        loss=lambda outputs, targets: jnp.square(outputs - targets)[:, 0],
    )


def evaluate(config, state, data):
    weight = float(state.net.params["Dense_0"]["kernel"][0, 0])
    cases = {f"case-{config.fold}-{number}": weight + 0.01 * number for number in range(3)}
    return {"weight": cases, "loss": {"all": abs(weight - data.evaluation)}}


def rows(preset):
    return tuple(
        Row(
            label,
            tuple(replace(preset, slope=label, fold=fold) for fold in range(2)),
            {"weight": Published(value)},
        )
        for label, value in (("one", 1.0), ("two", 2.0))
    )


def draw(finished, directory):
    file = directory / "drawn.txt"
    config, state, data = finished[1].load(0)
    weight = float(state.net.params["Dense_0"]["kernel"][0, 0])
    steps = [line["step"] for line in finished[1].read_log(0) if line["loss"] >= 0]
    file.write_text(f"{config.slope} {weight:.1f} {data.name} {steps}")
    (notes := directory / "notes.md").write_text("What is to be said.\n")
    return [file, notes]


TOY = Experiment(
    title="A toy",
    presets={"demo": Config(), "paper": Config(num_steps=100), "tiny": Config(num_steps=2)},
    example_batch=example_batch,
    make_data=make_data,
    make_algorithm=make_algorithm,
    evaluate=evaluate,
    tables={
        "table1": Table(
            "Weights.",
            ("weight", "loss"),
            rows,
            claims=(
                Claim("two is above one", "weight", "two", "one"),
                Claim("one is above two", "weight", "one", "two"),
            ),
            comparisons=(Comparison("weight", "two", "greater"),),
            figures=draw,
        )
    },
    method_field="slope",
)


compile_step = functools.lru_cache(maxsize=4)(fit.compile_step)


@pytest.fixture
def toy(monkeypatch):
    """Makes `toy` the only paper, its step compiled once for all tests."""
    monkeypatch.setattr(fit, "compile_step", compile_step)
    monkeypatch.setattr(papers, "paper_names", lambda: ["toy"])
    monkeypatch.setattr(papers, "find_paper", lambda name: TOY)
    return TOY
