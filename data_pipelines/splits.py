"""Splits of a data set by subject, so that no subject is on two sides."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """Names of the subjects on each side, sorted.

    Attributes:
        train: subjects to fit on.
        validation: subjects to choose by.
        test: subjects to report.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def k_fold(
    subjects: Sequence[str], num_folds: int, fold: int, *, num_validation: int = 0, seed: int
) -> Split:
    """Makes one of the splits of k-fold cross-validation.

    The sorted names are permuted by Philox(key=seed) and dealt out to the folds in turn, so the folds'
    sizes differ by one at most, every subject is in the test set of exactly one fold, and the order in
    which the names are listed does not matter. Validation subjects come from the folds that follow.

    Args:
        subjects: distinct names.
        num_folds: number of folds, at least 2 and at most one a subject.
        fold: the fold to test on, in [0, num_folds).
        num_validation: subjects kept out of the training set to validate on.
        seed: seed of the permutation, in [0, 2^128).

    Returns:
        The split; its three sides are disjoint and together hold all subjects.

    Raises:
        ValueError: a number is out of range, a name occurs twice, or nobody is left to train on.
    """
    names = sorted(subjects)
    repeated = sorted({name for name, following in itertools.pairwise(names) if name == following})
    if repeated:
        raise ValueError(f"subjects has {', '.join(repeated)} more than once; wanted distinct names")
    if not 2 <= num_folds <= len(names):
        raise ValueError(f"num_folds is {num_folds}; wanted 2 to {len(names)}, the number of subjects")
    if not 0 <= fold < num_folds:
        raise ValueError(f"fold is {fold}; wanted 0 to {num_folds - 1}")
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(names))
    folds = [[names[i] for i in order[number::num_folds]] for number in range(num_folds)]
    rest = list(itertools.chain(*folds[fold + 1 :], *folds[:fold]))
    if not 0 <= num_validation < len(rest):
        raise ValueError(
            f"num_validation is {num_validation}; wanted 0 to {len(rest) - 1}, to leave one to train on"
        )
    train, validation = rest[num_validation:], rest[:num_validation]
    return Split(*(tuple(sorted(side)) for side in (train, validation, folds[fold])))


def hold_out(subjects: Sequence[str], num_test: int, repeat: int, *, seed: int) -> Split:
    """Makes one of several splits with a test set of a stated size, no subject being tested twice.

    The sorted names are permuted by Philox(key=seed); test set k is the k-th run of `num_test` names, and all
    others train. Unlike the folds of `k_fold`, the test sets need not hold everybody.

    Args:
        subjects: distinct names.
        num_test: size of each test set, at least 1.
        repeat: number of the split, from 0.
        seed: seed of the permutation, in [0, 2^128).

    Returns:
        The split, without validation subjects.

    Raises:
        ValueError: a name occurs twice, or there are too few subjects for that many test sets.
    """
    names = sorted(subjects)
    if len(set(names)) < len(names):
        raise ValueError("subjects has a name more than once; wanted distinct names")
    end = (repeat + 1) * num_test
    if num_test < 1 or repeat < 0 or end > len(names) or num_test == len(names):
        raise ValueError(
            f"test set {repeat} of {num_test} subjects each; wanted one within {len(names)} subjects"
        )
    order = [names[i] for i in np.random.Generator(np.random.Philox(key=seed)).permutation(len(names))]
    test = order[end - num_test : end]
    return Split(tuple(sorted(set(names) - set(test))), (), tuple(sorted(test)))


def by_counts(
    subjects: Sequence[str], num_train: int, num_validation: int, num_test: int | None, *, seed: int
) -> Split:
    """Deals the sorted names, permuted by Philox(key=seed), out to the sides of one split.

    Args:
        subjects: distinct names.
        num_train: subjects to train on.
        num_validation: subjects to validate on.
        num_test: subjects to test on; None for all that are left.
        seed: of the permutation.

    Returns:
        The split; its sides are disjoint.

    Raises:
        ValueError: there are not as many subjects, or none is left to test on.
    """
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(subjects))
    names, start = sorted(subjects), num_train + num_validation
    wanted = start + (num_test or 1)
    if len(names) < wanted:
        raise ValueError(f"{len(names)} cases; wanted at least {wanted} to train, validate and test on")
    sides = np.split(order, [num_train, start, len(order) if num_test is None else wanted])[:3]
    return Split(*(tuple(sorted(names[index] for index in side)) for side in sides))
