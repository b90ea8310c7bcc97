"""The process of one side: builds its work once, then waits for calls. Nothing is imported before `start`."""

import contextlib
import importlib
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SHORT_SECONDS = 0.5
_MAX_CALLS = 20
_WARM_UP = 3
_state: dict[str, Any] = {}


def start(builder: str, sizes: Mapping[str, Any], threads: int | None) -> None:
    """Builds the work.

    Args:
        builder: "package.module:name", called with the sizes.
        sizes: keyword arguments.
        threads: of the processor, which are also the cores that this process may use; None for all.
    """
    if threads is not None:
        # Before any library reads them; NPROC is XLA's.
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), str(threads)))
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    host = importlib.import_module("jaxmed.train.host")
    host.tune_malloc()
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "jaxmed" / "xla"
    with contextlib.suppress(OSError):  # compilation is not timed, it is only slower then
        host.enable_compilation_cache(cache)
    module, name = builder.split(":")
    _state["work"] = getattr(importlib.import_module(module), name)(**sizes)


def probe() -> Any:
    """See `work.Peer`."""
    return _state["work"].probe()


def agreement(seen: Any) -> dict[str, float]:
    """See `work.Ours`."""
    return dict(_state["work"].agreement(seen))


def describe() -> tuple[int, dict[str, str]]:
    """Items of a run, and versions of the software."""
    return _state["work"].items, dict(_state["work"].describe())


def prepare() -> None:
    """Compiles and warms up every setting."""
    runs, errors = {}, {}
    for name in _state["work"].settings:
        try:
            run = _state["work"].prepare(name)
            for _ in range(_WARM_UP):
                run()
            runs[name] = run
        except Exception as error:  # a setting that a library cannot do is a result
            errors[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    _state.update(runs=runs, errors=errors)


def choose(num_rounds: int) -> dict[str, float | str]:
    """Times the settings in turns and keeps the fastest.

    Returns:
        By setting the median seconds of a run, or why there are none.

    Raises:
        RuntimeError: if no setting works.
    """
    runs, errors = _state["runs"], _state["errors"]
    if not runs:
        raise RuntimeError(f"no setting works: {errors}")
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(num_rounds if len(runs) > 1 else 1):
        for name, run in runs.items():
            seconds[name].append(_seconds(run))
    found = {name: statistics.median(spent) for name, spent in seconds.items()}
    best = min(found, key=lambda name: found[name])
    _state.update(best=best, runs={"": runs[best]})
    return found | errors


def prepare_parts() -> dict[str, float]:
    """Compiles the parts; seconds by part."""
    parts = dict(_state["work"].parts(_state["best"]))
    _state["runs"] |= parts
    found = {}
    for name, run in parts.items():
        run()
        found[name] = _seconds(run)
    return found


def time_run(part: str, num_calls: int) -> list[float]:
    """Times the chosen setting, or a part, after a call that brings short work back into the caches."""
    run = _state["runs"][part]
    if num_calls > 1:
        run()
    return [_seconds(run) for _ in range(num_calls)]


def calls_per_turn(seconds: float) -> int:
    """How often a side runs in its turn: enough for half a second."""
    return max(1, min(_MAX_CALLS, round(_SHORT_SECONDS / seconds)))


def _seconds(run: Any) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def describe_machine() -> dict[str, Any]:
    """Device, platform, processor cores, commit and date; uses the device for a moment."""
    import jax

    from experiments.verbs import provenance

    about = provenance.describe()
    about.pop("jax_version")
    return {**about, "platform": jax.default_backend(), "num_processors": os.cpu_count()}
