"""The folder of a run's checkpoints: which step verifies, what is set aside, what is deleted."""

import re
import shutil
import sys
from pathlib import Path

import orbax.checkpoint as ocp

from jaxmed.train import manifest as manifests
from jaxmed.train.checkpoint_errors import DamagedError
from jaxmed.train.manifest import Manifest

_DAMAGED = "damaged"
_DELETED = ".deleted-"
_UNFINISHED = f"*{ocp.utils.TMP_DIR_SUFFIX}*"
_STEP = re.compile(r"0|[1-9][0-9]{0,17}")


def list_steps(directory: Path) -> list[int]:
    """Steps of which `directory` has something, whole or not, the latest first."""
    names = (path.name for path in directory.iterdir()) if directory.is_dir() else ()
    return sorted((int(name) for name in names if _STEP.fullmatch(name)), reverse=True)


def find_latest(directory: Path, *, repair: bool) -> Manifest | None:
    """Finds the latest step that verifies, and says on standard error which later ones do not.

    Args:
        directory: the folder of the checkpoints.
        repair: move what does not verify to `damaged/`, and delete what a killed run was writing or deleting,
            which would otherwise fill the disk. Only where nothing else writes to the folder.

    Returns:
        The manifest of that step, or None.
    """
    latest, rejected = None, []
    for step in list_steps(directory):
        try:
            latest = manifests.verify(directory / str(step), step)
            break
        except DamagedError as error:
            rejected.append((directory / str(step), str(error)))
    if repair and directory.is_dir():
        _clear(directory, _UNFINISHED, _DELETED + "*")
    if rejected:
        _report(directory, latest, [_reject(path, reason, repair) for path, reason in rejected])
    return latest


def set_aside(path: Path) -> Path:
    """Moves a folder to `damaged/<step>`, or the first free `damaged/<step>-<k>` beside it."""
    damaged = path.parent / _DAMAGED
    damaged.mkdir(exist_ok=True)
    name, number = path.name.split(".")[0], 1
    target = damaged / name
    while target.exists() or target.is_symlink():
        target, number = damaged / f"{name}-{number}", number + 1
    return path.rename(target)


def keep_newest(directory: Path, step: int, max_to_keep: int) -> None:
    """Deletes all checkpoints but `step`, which was just written, and the latest others.

    Call it only when the manifest of `step` is on the disk: until then the others are all there is.
    """
    others = [other for other in list_steps(directory) if other != step]
    for other in others[max_to_keep - 1 :]:
        # A folder that is deleted file by file would look damaged if the process were killed meanwhile.
        (directory / str(other)).rename(directory / f"{_DELETED}{other}")
    _clear(directory, _DELETED + "*")


def discard(directory: Path, step: int) -> None:
    """Deletes what a save that failed has written, so that it does not fill the disk."""
    _clear(directory, str(step), _UNFINISHED)


def _clear(directory: Path, *patterns: str) -> None:
    for path in (path for pattern in patterns for path in directory.glob(pattern)):
        shutil.rmtree(path, ignore_errors=True)


def _reject(path: Path, reason: str, repair: bool) -> str:
    moved = f", now {_DAMAGED}/{set_aside(path).name}" if repair else ""
    return f"{path.name} ({reason}{moved})"


def _report(directory: Path, latest: Manifest | None, rejected: list[str]) -> None:
    rest = "no checkpoint is left" if latest is None else f"the last good one is step {latest.step}"
    print(f"damaged checkpoint in {directory}: {'; '.join(rejected)}; {rest}", file=sys.stderr, flush=True)
