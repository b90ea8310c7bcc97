"""Settings of the host process that make starts and steps faster."""

import ctypes
import sys
from pathlib import Path

import jax

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8


def tune_malloc() -> bool:
    """Keeps freed memory in the process instead of returning it to the kernel.

    XLA allocates its temporary buffer anew for every execution; by default glibc maps it afresh and the
    kernel faults each page in again, which costs up to half of a convolution's time. Call it before JAX
    allocates. Memory once used is not given back until the process ends.

    Returns:
        Whether the settings were accepted (False where the C library is not glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = (
        (_M_MMAP_THRESHOLD, 2**31 - 1),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 2**28),
        (_M_ARENA_MAX, 1),
    )
    return all(mallopt(name, value) == 1 for name, value in settings)


def enable_compilation_cache(directory: Path) -> None:
    """Keeps compiled programs in `directory`, so that a second start compiles nothing.

    Args:
        directory: made, for this user alone, if it is not there.

    Raises:
        PermissionError: if others can write there: cached programs are run as code.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & 0o022:
        raise PermissionError(f"compilation cache {directory} can be written by others; wanted: mode 700")
    jax.config.update("jax_compilation_cache_dir", str(directory.absolute()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
