"""Time to trace and to compile a function, cold and out of the persistent compilation cache."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache


@dataclass(frozen=True)
class Compilation:
    """What a start costs.

    Attributes:
        trace_seconds: time to trace the step and lower it to StableHLO.
        compile_seconds: time to compile it with nothing in any cache.
        cached_compile_seconds: time to get it out of the persistent cache, as a second start does; None where
            programs are not cached (several processes, a step that calls back into Python).
    """

    trace_seconds: float
    compile_seconds: float
    cached_compile_seconds: float | None


@contextlib.contextmanager
def private_cache() -> Iterator[Path | None]:
    """Gives JAX an empty persistent compilation cache for the `with` block, and the old one after it.

    With several processes there is none in the block: only process 0 writes, and processes that compile wait
    on GPUs for those that do not.

    Yields:
        The cache's folder, which this user alone can read; it is gone after the block.
    """
    with tempfile.TemporaryDirectory(prefix="jaxmed-bench-") as folder:
        is_alone = jax.process_count() == 1
        settings = {
            "jax_enable_compilation_cache": is_alone,
            "jax_compilation_cache_dir": folder if is_alone else None,
            "jax_persistent_cache_min_compile_time_secs": 0,
            "jax_persistent_cache_min_entry_size_bytes": -1,
        }
        before = {name: getattr(jax.config, name) for name in settings}
        try:
            _configure(settings)
            yield Path(folder) if is_alone else None
        finally:
            _configure(before)


def _configure(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    # JAX looks at the settings when it first compiles, and again after this.
    compilation_cache.reset_cache()


def compile_cold_and_cached(
    make_function: Callable[[], Any], arguments: tuple, cache: Path | None
) -> tuple[Compilation, Any, Any]:
    """Traces and compiles a function, forgets it, and compiles it again with the help of the cache.

    All that JAX holds in memory of this process is forgotten, before each of the two.

    Args:
        make_function: gives the jitted function, a new one at each call.
        arguments: of the function; only their shapes, dtypes and shardings are looked at.
        cache: from `private_cache`, in whose block this must be.

    Returns:
        The times, the traced function (`jax.stages.Traced`) and the compiled one.
    """
    jax.clear_caches()
    entries = _entries(cache)
    begun = time.perf_counter()
    traced = make_function().trace(*arguments)
    lowered = traced.lower()
    lowered_at = time.perf_counter()
    compiled = lowered.compile()
    compiled_at = time.perf_counter()
    cached_seconds = None
    if _entries(cache) - entries:
        jax.clear_caches()
        again = make_function().lower(*arguments)
        asked = time.perf_counter()
        again.compile()
        cached_seconds = time.perf_counter() - asked
    times = Compilation(lowered_at - begun, compiled_at - lowered_at, cached_seconds)
    return times, traced, compiled


def _entries(cache: Path | None) -> set[str]:
    return set() if cache is None else {file.name for file in cache.glob("*-cache")}
