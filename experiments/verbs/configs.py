"""Configs as text: JSON, hash, and a label of what differs from the preset."""

import dataclasses
import hashlib
import json
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from experiments.contract import Config
from experiments.verbs import errors


def to_json(config: Config) -> dict[str, Any]:
    """The config as nested dicts of JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_json(config_type: type, values: Mapping[str, Any]) -> Config:
    """Rebuilds a config from what `to_json` gave.

    Raises:
        UserError: for a field that the config does not have, or one that is missing.
    """
    hints = typing.get_type_hints(config_type)
    for name in values:
        errors.choose(f"field of {config_type.__name__}", name, hints)
    missing = [name for name in hints if name not in values]
    if missing:
        raise errors.UserError(f"the saved {config_type.__name__} lacks the field '{missing[0]}'")
    return config_type(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        kind = kinds[0] if kinds else Any
        return tuple(_value(kind, item) for item in value)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return value
    return hint(value) if hint in (int, float, str, bool) else value


def config_hash(config: Config, *, data_name: str) -> str:
    """Ten hexadecimal digits that identify a config on its data."""
    text = json.dumps({"config": to_json(config), "data": data_name}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def label(preset: str, preset_config: Config, config: Config) -> str:
    """The preset's name and the fields in which `config` differs from it, fit for a folder's name."""
    before, after = to_json(preset_config), to_json(config)
    changed = [f"{name}-{after[name]}" for name in after if after[name] != before[name]]
    return re.sub(r"[^\w.-]+", "", "_".join([preset, *changed]))[:80]
