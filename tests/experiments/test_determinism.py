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
import os, runpy, sys
if (cores := int(sys.argv.pop(1))):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
runpy.run_module("experiments", run_name="__main__", alter_sys=True)
"""


def train(folder, *options, caches, cores=0, **environment):
    """Runs `train fbpaug tiny --deterministic` on the first `cores` cores, or on all; returns its folder."""
    command = ("train", "fbpaug", "tiny", *SIZES, *OPTIONS, *options)
    inherited = {name: value for name, value in os.environ.items() if name != "NPROC"}
    flags = "--xla_backend_optimization_level=0"  # unoptimised code compiles twice as fast
    folders = ("--workdir", folder, "--cache-dir", caches / "volumes")
    ended = subprocess.run(
        [sys.executable, "-c", START, str(cores), *command, *folders],
        cwd=ROOT,
        env={**inherited, "XLA_FLAGS": flags, "XDG_CACHE_HOME": str(caches), **environment},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    (run,) = folder.glob("fbpaug/*/seed*")
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("determinism")


@pytest.fixture(scope="module")
def one(folder):
    return train(folder / "one", "--input", "tf", caches=folder / "caches", PYTHONHASHSEED="0")


def metrics(run):
    return (run / "metrics.jsonl").read_text()


def scores(run):
    return json.loads((run / "result.json").read_text())["scores"]


def arrays(run):
    """The latest checkpoint's arrays as bytes, by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(runs.load(run)[2])
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs control of the cores")
def test_hash_seed_cores_threads_loader_and_fresh_caches_do_not_matter(one, folder):
    """The phantom too is made anew, and everything compiled anew."""
    settings = {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    caches = folder / "other caches"
    other = train(folder / "other", "--input", "threads", caches=caches, cores=1, **settings)
    assert metrics(one) == metrics(other)
    assert scores(one) == scores(other)
    assert arrays(one) == arrays(other)


def test_another_seed_matters(one, folder):
    other = train(folder / "seed", "--seed", "1", caches=folder / "caches")
    assert metrics(one) != metrics(other)
    first, second = arrays(one), arrays(other)
    kernels = [name for name in first if name.endswith("['kernel']")]
    assert kernels
    assert all(first[name] != second[name] for name in kernels)
