"""Where a number comes from: commit, device, versions, date."""

import datetime
import functools
import hashlib
import platform
import subprocess
from pathlib import Path

import jax

import experiments

_ROOT = Path(experiments.__path__[0]).parent


@functools.cache
def commit() -> str:
    """The commit of the source tree, with a digest of uncommitted changes, at the start of this process."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD").strip()
        changes = _git("diff", "HEAD", "--", "*.py")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else head


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def device() -> str:
    """The devices of this run, such as '1 x cpu (AMD EPYC)'."""
    devices = jax.devices()
    kind = devices[0].device_kind
    detail = f" ({_processor()})" if devices[0].platform == "cpu" else ""
    return f"{len(devices)} x {kind}{detail}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe() -> dict[str, str]:
    """Commit, device, version of jax and today's date."""
    return {
        "commit": commit(),
        "device": device(),
        "jax_version": jax.__version__,
        "date": datetime.date.today().isoformat(),
    }
