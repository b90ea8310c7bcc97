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
    """Rebuilds a config from what `to_json` gave; nothing is converted but whole numbers to floats.

    Raises:
        UserError: for a field that the config does not have, one that is missing, or a value of another type
            than its field's.
    """
    return _dataclass(config_type, values, config_type.__name__)


def _dataclass(config_type: type, values: Any, place: str) -> Any:
    if not isinstance(values, Mapping):
        raise _mistyped(place, values, "named fields")
    hints = typing.get_type_hints(config_type)
    for name in values:
        errors.choose(f"field of {config_type.__name__}", str(name), hints)
    missing = [name for name in hints if name not in values]
    if missing:
        raise errors.UserError(f"the saved {config_type.__name__} lacks the field '{missing[0]}'")
    fields = {name: _value(hints[name], value, f"{place}.{name}") for name, value in values.items()}
    try:
        return config_type(**fields)
    except ValueError as error:
        raise errors.UserError(f"the saved {place} is none: {' '.join(str(error).split())}") from error


def _value(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, place)
    if hint is tuple or origin is tuple:
        return _tuple(arguments, value, place)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, value, place)
    if origin is typing.Literal:
        # By type too, since True == 1.
        if (type(value), value) in [(type(choice), choice) for choice in arguments]:
            return value
        raise _mistyped(place, value, f"one of {', '.join(map(repr, arguments))}")
    if hint is float and type(value) is int and abs(value) <= 2**53:
        return float(value)
    if hint is Any or type(value) is (type(None) if hint is None else hint):
        return value
    raise _mistyped(place, value, _name(hint))


def _tuple(kinds: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _mistyped(place, value, "a list")
    if not kinds or kinds[-1] is Ellipsis:
        kinds = (kinds[0] if kinds else Any,) * len(value)
    if len(kinds) != len(value):
        raise _mistyped(place, value, f"{len(kinds)} values")
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_value(kind, item, f"{place}[{number}]") for number, (kind, item) in pairs)


def _union(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    # `float | int` keeps a whole number whole.
    exact = [kind for kind in kinds if kind is type(value)]
    for kind in (*exact, *kinds):
        try:
            return _value(kind, value, place)
        except errors.UserError:
            continue
    raise _mistyped(
        place, value, " or ".join("null" if kind is type(None) else _name(kind) for kind in kinds)
    )


def _name(hint: Any) -> str:
    return "null" if hint is type(None) else getattr(hint, "__name__", str(hint))


def _mistyped(place: str, value: Any, wanted: str) -> errors.UserError:
    found = repr(value)
    return errors.UserError(
        f"the saved {place} is {found if len(found) <= 60 else found[:57] + '...'}; wanted {wanted}"
    )


def config_hash(config: Config, *, data_name: str) -> str:
    """Ten hexadecimal digits that identify a config on its data."""
    text = json.dumps({"config": to_json(config), "data": data_name}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def label(preset: str, preset_config: Config, config: Config) -> str:
    """The preset's name and the fields in which `config` differs from it, fit for a folder's name."""
    before, after = to_json(preset_config), to_json(config)
    changed = [f"{name}-{after[name]}" for name in after if after[name] != before[name]]
    return re.sub(r"[^\w.-]+", "", "_".join([preset, *changed]))[:80]
