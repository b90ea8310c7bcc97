"""Settings of the host process: faster starts and steps, a private compilation cache, repeatable bits."""

import ctypes
import os
import stat
import sys
from pathlib import Path

import jax

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8

_GPU_FLAG = "--xla_gpu_deterministic_ops=true"
_CPU_THREADS = 8


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


def make_deterministic() -> None:
    """Makes the same program on the same kind of device compute the same bits every time.

    On GPUs, kernels whose sums depend on the order of threads are left out, and none is chosen by timing. On
    CPUs a program gives the same bits every time as it is, but with another number of threads, so on another
    number of cores, sums and gradients of convolutions are rounded differently; hence XLA is given 8 threads
    whatever the number of cores, unless the environment's NPROC says otherwise. TPUs need nothing.

    Raises:
        RuntimeError: if JAX uses its devices already, so that it is too late.
    """
    if _uses_devices():
        raise RuntimeError("JAX uses its devices already; deterministic computing is chosen before that")
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_GPU_FLAG}".strip()
    os.environ.setdefault("NPROC", str(_CPU_THREADS))


def _uses_devices() -> bool:
    # There is no public question for it, but a setting that cannot be changed any more.
    name = "jax_num_cpu_devices"
    before = getattr(jax.config, name)
    try:
        jax.config.update(name, before + 1)
    except RuntimeError:
        return True
    jax.config.update(name, before)
    return False


def enable_compilation_cache(directory: Path) -> None:
    """Keeps compiled programs in `directory`, so that a second start compiles nothing.

    Args:
        directory: made, with its parents, for this user alone, if it is not there.

    Raises:
        PermissionError: if others can write there or put another folder in its place: cached programs are run
            as code.
    """
    directory = Path(os.path.abspath(directory))  # noqa: PTH100, links on the way are looked at one by one
    for folder in (*reversed(directory.parents), directory):
        folder.mkdir(mode=0o700, exist_ok=True)
    _require_own(directory)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _require_own(directory: Path) -> None:
    """Raises a PermissionError unless the folder is this user's, and nobody else can exchange it."""
    found = directory.stat()
    if found.st_uid != os.geteuid():
        raise _refuse(directory, directory, f"belongs to user {found.st_uid}, not to {os.geteuid()}")
    if found.st_mode & 0o022:
        raise _refuse(directory, directory, "can be written by others")
    # Both ways: through the links as they stand, and to where they lead.
    for place in {*directory.parents, *directory.resolve().parents}:
        about = place.stat()
        if about.st_uid not in (0, os.geteuid()):
            raise _refuse(directory, place, f"belongs to user {about.st_uid}")
        if about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX and not _is_private_group(about):
            raise _refuse(directory, place, "can be written by others")
    for place in (directory, *directory.parents):
        about = place.lstat()
        if stat.S_ISLNK(about.st_mode) and about.st_uid not in (0, os.geteuid()):
            raise _refuse(directory, place, f"is a link of user {about.st_uid}")


def _is_private_group(about: os.stat_result) -> bool:
    """Whether only its group can write, and that is this user alone, as many systems set up accounts."""
    import grp
    import pwd

    if about.st_mode & 0o002:
        return False
    try:
        group, user = grp.getgrgid(about.st_gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _refuse(directory: Path, place: Path, found: str) -> PermissionError:
    return PermissionError(
        f"compilation cache {directory}: {place} {found}; wanted: a folder that only this user can change "
        f"(mode 700), such as one named by XDG_CACHE_HOME"
    )
