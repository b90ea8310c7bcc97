import dataclasses
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.verbs import configs
from experiments.verbs.errors import UserError


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int = 3
    spacing: tuple[float, ...] = (1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Outer:
    method: Literal["a", "b"] = "a"
    rate: float = 0.1
    flag: bool = False
    limit: int | None = None
    widths: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()


finite = st.floats(allow_nan=False, allow_infinity=False)
outers = st.builds(
    Outer,
    method=st.sampled_from(["a", "b"]),
    rate=finite,
    flag=st.booleans(),
    limit=st.none() | st.integers(),
    widths=st.lists(st.integers(), max_size=4).map(tuple),
    inner=st.builds(Inner, size=st.integers(), spacing=st.lists(finite, max_size=3).map(tuple)),
)


@given(outers)
def test_any_config_survives_json(config):
    assert configs.from_json(Outer, configs.to_json(config)) == config


@given(outers, outers)
def test_hashes_are_equal_exactly_where_configs_are(one, other):
    same = configs.to_json(one) == configs.to_json(other)
    assert (configs.config_hash(one, data_name="d") == configs.config_hash(other, data_name="d")) == same


def test_hash_depends_on_the_data():
    assert configs.config_hash(Outer(), data_name="a") != configs.config_hash(Outer(), data_name="b")


def test_label_names_what_differs_and_fits_a_folder_name():
    assert configs.label("demo", Outer(), Outer()) == "demo"
    changed = Outer(method="b", widths=(4, 5))
    assert configs.label("demo", Outer(), changed) == "demo_method-b_widths-45"


def test_unknown_and_missing_fields_are_named():
    with pytest.raises(UserError, match="unknown field of Outer 'methd', did you mean 'method'"):
        configs.from_json(Outer, {**configs.to_json(Outer()), "methd": "a"})
    with pytest.raises(UserError, match="lacks the field 'method'"):
        configs.from_json(Outer, {"rate": 0.1})
