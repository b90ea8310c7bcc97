import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.splits import by_counts, hold_out, k_fold


@given(st.data())
def test_the_folds_partition_the_subjects(data):
    num_subjects = data.draw(st.integers(3, 30))
    num_folds = data.draw(st.integers(2, num_subjects))
    smallest_rest = num_subjects - -(-num_subjects // num_folds)
    num_validation = data.draw(st.integers(0, smallest_rest - 1))
    seed = data.draw(st.integers(0, 2**64))
    subjects = [f"case{number}" for number in range(num_subjects)]
    splits = [
        k_fold(subjects, num_folds, fold, num_validation=num_validation, seed=seed)
        for fold in range(num_folds)
    ]
    for split in splits:
        assert sorted(split.train + split.validation + split.test) == sorted(subjects)
        assert len(split.validation) == num_validation
        assert split.train
    assert sorted(name for split in splits for name in split.test) == sorted(subjects)
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1


@given(st.permutations([f"case{number}" for number in range(9)]))
def test_the_order_of_the_names_does_not_matter(subjects):
    assert k_fold(subjects, 3, 1, num_validation=2, seed=5) == k_fold(
        sorted(subjects), 3, 1, num_validation=2, seed=5
    )


def test_seeds_and_folds_differ():
    subjects = [f"case{number}" for number in range(40)]
    assert k_fold(subjects, 4, 0, seed=0) != k_fold(subjects, 4, 0, seed=1)
    validations = [k_fold(subjects, 4, fold, num_validation=10, seed=0).validation for fold in range(4)]
    assert len(set(validations)) == 4


@pytest.mark.parametrize(
    ("arguments", "num_validation", "message"),
    [
        ((["a", "b", "a"], 2, 0), 0, "subjects has a more than once"),
        ((["a", "b"], 1, 0), 0, "num_folds is 1; wanted 2 to 2"),
        ((["a", "b"], 3, 0), 0, "num_folds is 3; wanted 2 to 2"),
        ((["a", "b", "c"], 2, 2), 0, "fold is 2; wanted 0 to 1"),
        ((["a", "b", "c"], 2, -1), 0, "fold is -1; wanted 0 to 1"),
        ((["a", "b", "c"], 3, 0), 2, "num_validation is 2; wanted 0 to 1"),
        ((["a", "b", "c"], 3, 0), -1, "num_validation is -1; wanted 0 to 1"),
    ],
)
def test_bad_arguments_are_named(arguments, num_validation, message):
    with pytest.raises(ValueError, match=message):
        k_fold(*arguments, num_validation=num_validation, seed=0)


def test_held_out_sets_are_disjoint_and_the_rest_trains():
    """131 cases, three times 31 to test and 100 to train on."""
    names = [f"liver_{number}" for number in range(131)]
    splits = [hold_out(names, 31, repeat, seed=0) for repeat in range(3)]
    assert len({name for split in splits for name in split.test}) == 93
    assert all(sorted(split.train + split.test) == sorted(names) for split in splits)
    assert splits[0] == hold_out(names[::-1], 31, 0, seed=0) != hold_out(names, 31, 0, seed=1)


@pytest.mark.parametrize(("num_test", "repeat"), [(31, 4), (0, 0), (131, 0), (31, -1)])
def test_refuses_test_sets_beyond_the_subjects(num_test, repeat):
    with pytest.raises(ValueError, match="wanted one within 131"):
        hold_out([str(number) for number in range(131)], num_test, repeat, seed=0)


def test_refuses_a_name_twice_in_held_out_sets():
    with pytest.raises(ValueError, match="distinct"):
        hold_out(["a", "a", "b"], 1, 0, seed=0)


def test_counts_are_dealt_out_once_and_the_rest_is_tested_or_left():
    names = [f"s{number}" for number in range(10)]
    split = by_counts(names[::-1], 5, 2, 2, seed=0)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [5, 2, 2]
    everyone = by_counts(names, 5, 2, None, seed=0)
    assert (everyone.train, everyone.validation) == (split.train, split.validation)
    assert set(split.test) < set(everyone.test)
    assert sorted([*everyone.train, *everyone.validation, *everyone.test]) == names
    assert by_counts(names, 5, 2, 2, seed=1) != split
    with pytest.raises(ValueError, match="10 cases; wanted at least 11"):
        by_counts(names, 10, 0, None, seed=0)
