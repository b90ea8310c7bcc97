import dataclasses
import json
from typing import Literal

import pytest
from hypothesis import assume, given, settings
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


deterministic = settings(derandomize=True, deadline=None, max_examples=60)
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


@deterministic
@given(outers)
def test_any_config_survives_json(config):
    assert configs.from_json(Outer, configs.to_json(config)) == config


@deterministic
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


SCALARS = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    str: st.text(max_size=5),
    None: st.none(),
    Literal["a", "b", 3, True]: st.sampled_from(["a", "b", 3, True]),
}


def pairs_of_hint_and_values(depth=2):
    """Types of config fields, each with a strategy for its values."""
    scalars = st.sampled_from(list(SCALARS.items()))
    if depth == 0:
        return scalars
    inner = pairs_of_hint_and_values(depth - 1)
    optional = scalars.filter(lambda pair: pair[0] is not None).map(
        lambda pair: (pair[0] | None if isinstance(pair[0], type) else pair[0], pair[1])
    )
    lists = inner.map(lambda pair: (tuple[pair[0], ...], st.lists(pair[1], max_size=3).map(tuple)))
    tuples = st.tuples(inner, inner).map(
        lambda pairs: (tuple[pairs[0][0], pairs[1][0]], st.tuples(pairs[0][1], pairs[1][1]))
    )
    nested = dataclasses_with_values(inner)
    return st.one_of(scalars, optional, lists, tuples, nested)


def dataclasses_with_values(pairs):
    def make(fields):
        hints = {f"field_{number}": hint for number, (hint, _) in enumerate(fields)}
        made = dataclasses.make_dataclass("Made", hints.items(), frozen=True)
        return made, st.builds(made, *(values for _, values in fields))

    return st.lists(pairs, min_size=1, max_size=3).map(make)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@deterministic
@given(st.data())
def test_any_dataclass_of_the_allowed_types_survives_json(data):
    made, values = data.draw(dataclasses_with_values(pairs_of_hint_and_values()))
    config = data.draw(values)
    back = configs.from_json(made, json.loads(json.dumps(configs.to_json(config))))
    assert back == config
    # By the letter, since 1 == 1.0 == True.
    assert repr(back) == repr(config)


@settings(deterministic, max_examples=150)
@given(st.data())
def test_damaged_values_end_in_a_user_error_or_in_the_value_itself(data):
    made, values = data.draw(dataclasses_with_values(pairs_of_hint_and_values()))
    saved = configs.to_json(data.draw(values))
    place = saved
    while True:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[name], dict | list) and place[name] and data.draw(st.booleans())):
            break
        place = place[name]
    place[name] = data.draw(json_values)
    try:
        back = configs.from_json(made, saved)
    except UserError as error:
        assert "\n" not in str(error)
        assert "wanted" in str(error) or "unknown field" in str(error) or "lacks" in str(error)
    else:
        kept = json.dumps(configs.to_json(back))
        assume("NaN" not in kept)
        assert json.loads(kept) == json.loads(json.dumps(saved))


MISTYPED = {
    "text for a whole number": ({"limit": "3"}, r"Outer.limit is '3'; wanted int or null"),
    "number for text": ({"method": 3}, r"Outer.method is 3; wanted one of 'a', 'b'"),
    "unknown choice": ({"method": "c"}, r"Outer.method is 'c'; wanted one of 'a', 'b'"),
    "bool for a whole number": (
        {"inner": {"size": True, "spacing": []}},
        r"Outer.inner.size is True; wanted",
    ),
    "fraction for a whole number": ({"limit": 2.5}, r"Outer.limit is 2.5; wanted int"),
    "number for a bool": ({"flag": 1}, r"Outer.flag is 1; wanted bool"),
    "text for a float": ({"rate": "nan"}, r"Outer.rate is 'nan'; wanted float"),
    "null for a float": ({"rate": None}, r"Outer.rate is None; wanted float"),
    "number beyond floats": ({"rate": 10**400}, r"Outer.rate is 1000.*\.\.\.; wanted float"),
    "number for a list": ({"widths": 3}, r"Outer.widths is 3; wanted a list"),
    "text in a list": ({"widths": [1, "2"]}, r"Outer.widths\[1\] is '2'; wanted int"),
    "list for fields": ({"inner": [1]}, r"Outer.inner is \[1\]; wanted named fields"),
    "unknown field": ({"rat": 3}, "unknown field of Outer 'rat', did you mean 'rate'"),
}


@pytest.mark.faults
@pytest.mark.parametrize(("change", "message"), MISTYPED.values(), ids=MISTYPED.keys())
def test_mistyped_values_of_a_saved_config_are_named(change, message, record_fault, request):
    with pytest.raises(UserError, match=message) as caught:
        configs.from_json(Outer, {**configs.to_json(Outer()), **change})
    record_fault(f"config.json: {request.node.callspec.id}", str(caught.value))


def test_whole_numbers_become_floats_where_floats_are_wanted():
    back = configs.from_json(Outer, {**configs.to_json(Outer()), "rate": 3})
    assert (back.rate, type(back.rate)) == (3.0, float)


@dataclasses.dataclass(frozen=True)
class Checked:
    size: int = 1

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"size is {self.size};\nwanted at least 1")


def test_values_that_a_config_refuses_are_a_user_error():
    with pytest.raises(UserError, match="the saved Checked is none: size is 0; wanted at least 1"):
        configs.from_json(Checked, {"size": 0})
