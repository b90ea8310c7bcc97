"""The seed is the only source of randomness: two processes that differ in all else end with the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.verbs import runs

ROOT = Path(__file__).parents[2]

# Slices of 96 pixels: with smaller ones XLA sums in one thread however many there are, and nothing is shown.
SIZES = ("--image-size", "96", "--pixel-mm", "4", "--batch-size", "4")
OPTIONS = ("--deterministic", "--method", "noise", "--log-every", "1")

START = """
import json, os, sys
import experiments.fbpaug, experiments.verbs.train
from experiments.__main__ import main
if (cores := int(sys.argv[1])):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
for command in json.loads(sys.argv[2]):
    if not (child := os.fork()):
        os._exit(main(command))
    if os.waitpid(child, 0)[1]:
        sys.exit("failed: " + " ".join(command))
"""
"""Runs commands one after the other, each in a process of its own, which all import once."""


def train(folder, *runs, caches, cores=0, loader="threads", **environment):
    """Runs `train fbpaug tiny --deterministic` on the first `cores` cores, or on all.

    Args:
        folder: where.
        runs: the seed of each run.
        caches: of the phantom and of compiled programs.
        cores: 0 for all.
        loader: who loads the batches.
        environment: further variables.

    Returns:
        The folder of each run.
    """
    command = ("train", "fbpaug", "tiny", *SIZES, *OPTIONS, "--input", loader)
    inherited = {name: value for name, value in os.environ.items() if name != "NPROC"}
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=1"
    command += ("--workdir", str(folder), "--cache-dir", str(caches / "volumes"), "--seed")
    ended = subprocess.run(
        [sys.executable, "-c", START, str(cores), json.dumps([(*command, str(seed)) for seed in runs])],
        cwd=ROOT,
        env={**inherited, "XLA_FLAGS": flags, "XDG_CACHE_HOME": str(caches), **environment},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return [next(folder.glob(f"fbpaug/*/seed{seed}")) for seed in runs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("determinism")


@pytest.fixture(scope="module")
def seeds(folder):
    """Runs with the seeds 0 and 1."""
    return train(folder / "one", 0, 1, caches=folder / "caches", PYTHONHASHSEED="0")


@pytest.fixture
def one(seeds):
    return seeds[0]


def metrics(run):
    return (run / "metrics.jsonl").read_text()


def scores(run):
    return json.loads((run / "result.json").read_text())["scores"]


def arrays(run):
    """The latest checkpoint's arrays as bytes, by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(runs.load(run)[2])
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs control of the cores")
@pytest.mark.parametrize("loader", ["threads", pytest.param("tf", marks=pytest.mark.exhaustive)])
def test_hash_seed_cores_threads_loader_and_fresh_caches_do_not_matter(one, folder, loader):
    """The phantom too is made anew, and everything compiled anew.

    That TensorFlow loads the batches of the threads: `tests/data_pipelines/test_pipeline.py`.
    """
    settings = {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    caches = folder / f"caches of {loader}"
    (other,) = train(folder / loader, 0, caches=caches, cores=1, loader=loader, **settings)
    assert metrics(one) == metrics(other)
    assert scores(one) == scores(other)
    assert arrays(one) == arrays(other)


def test_another_seed_matters(seeds):
    one, other = seeds
    assert metrics(one) != metrics(other)
    first, second = arrays(one), arrays(other)
    kernels = [name for name in first if name.endswith("['kernel']")]
    assert kernels
    assert all(first[name] != second[name] for name in kernels)
