"""Test settings: eight host devices, cheap compilation, strict shapes; and the table of injected faults."""

import gc
import os
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# What the tests cost is compilation. Unoptimised code without the newer emitters of fusions compiles four
# times as fast and runs slower: a gain for small arrays.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
    ]
)

import jax
import matplotlib
import pytest
from hypothesis import settings

# The same examples in every run, however slow the machine.
settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("deterministic")

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")

_FAULT = "fault"
_PROGRAMS = pytest.StashKey[str]()


def pytest_configure(config):
    """What one process of a test run compiles, the others find."""
    if hasattr(config, "workerinput"):
        folder = config.workerinput["programs"]
    else:
        temporary = tempfile.TemporaryDirectory(prefix="jaxmed-tests-")
        config.add_cleanup(temporary.cleanup)
        folder = config.stash[_PROGRAMS] = temporary.name
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tells a worker where the programs lie."""
    node.workerinput["programs"] = node.config.stash[_PROGRAMS]


def pytest_collection_finish(session):
    """Collects garbage seldom, and not in what is imported: traces make many objects, of which most stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 50)


@pytest.fixture
def record_fault(record_property):
    """Notes an injected fault and what came of it, for the table after the run: `(fault, outcome)`."""

    def record(fault: str, outcome: str) -> None:
        line = f"{fault}\t{outcome}"
        record_property(_FAULT, "".join(c if c.isprintable() or c == "\t" else "?" for c in line))

    return record


def pytest_terminal_summary(terminalreporter, config):
    """Prints the faults that were injected and survived, when they were asked for by name."""
    if not any(mark in config.getoption("markexpr") for mark in ("faults", "fuzz")):
        return
    lines = [
        value.split("\t")
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == _FAULT
    ]
    lines = sorted({tuple(line) for line in lines}, key=lambda line: (_number(line[0]), line))
    width = max((len(fault) for fault, _ in lines), default=0)
    terminalreporter.section(f"{len(lines)} faults injected, and what came of each")
    for fault, outcome in lines:
        terminalreporter.write_line(f"{fault:<{width}}  {outcome}")


def _number(fault: str) -> int:
    head = fault.split()[0]
    return int(head) if head.isdigit() else 1000
