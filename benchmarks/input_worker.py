"""The process of one contestant of `benchmarks.input`: builds its loader, then works when it is asked to."""

import hashlib
import importlib
import time
from pathlib import Path
from typing import Any

_state: dict[str, Any] = {}


def start(builder: str, folder: Path, size: int, batch: int) -> None:
    """Builds the contestant "module:class"; every side gets the same settings of the allocator."""
    importlib.import_module("jaxmed.train.host").tune_malloc()
    module, name = builder.split(":")
    _state["work"] = getattr(importlib.import_module(module), name)(folder, size, batch)


def digest() -> str:
    """Of the first volume as the contestant sees it, as int16."""
    return hashlib.sha256(_state["work"].volume().astype("<i2").tobytes()).hexdigest()


def settings() -> list[str]:
    """Names of the contestant's settings."""
    return list(_state["work"].settings)


def open_loader(setting: str) -> str:
    """Starts loading in a setting, in place of what was before.

    Returns:
        Shape and dtype of a batch.
    """
    _state.pop("batches", None)
    _state["batches"] = _state["work"].batches(setting)
    batch = next(_state["batches"])
    return f"{tuple(batch.shape)} {str(batch.dtype).removeprefix('torch.')}"


def patches_per_second(seconds: float) -> float:
    """Takes batches for so long, after a few that may have been loaded ahead."""
    batches, number, spent = _state["batches"], 0, 0.0
    for _ in range(4):
        next(batches)
    begun = time.perf_counter()
    while spent < seconds:
        number += next(batches).shape[0]
        spent = time.perf_counter() - begun
    return number / spent
