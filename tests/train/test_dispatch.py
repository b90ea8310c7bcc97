import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmed.train import dispatch


@pytest.mark.parametrize(
    ("arguments", "lengths"),
    [
        ((0, 6, 1), [1] * 6),
        ((0, 8, 3), [3, 3, 1, 1]),
        ((2, 8, 3), [3, 3]),
        ((0, 2, 3), [1, 1]),
        ((5, 5, 3), []),
        ((7, 5, 3), []),
        ((0, 10, 3, 5), [3, 1, 1, 3, 1, 1]),
        ((4, 12, 3, 5), [1, 3, 1, 1, 1, 1]),
        ((0, 4, 4, 4), [4]),
    ],
)
def test_plans_by_hand(arguments, lengths):
    assert [now.length for now in dispatch.plan(*arguments)] == lengths


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 9), st.one_of(st.none(), st.integers(1, 12)))
def test_every_step_once_and_no_group_beyond_a_pause(first, num_steps, size, pauses):
    planned = list(dispatch.plan(first, num_steps, size, pauses))
    assert [step for now in planned for step in now.steps] == list(range(first + 1, num_steps + 1))
    if pauses:
        assert all(now.first // pauses == (now.last - 1) // pauses for now in planned)


def test_size_below_one_is_refused():
    with pytest.raises(ValueError, match="steps_per_dispatch is 0"):
        dispatch.plan(0, 5, 0)
