import ast
from pathlib import Path

import pytest

from benchmarks.peers.cases import CASES

ROOT = Path(__file__).parents[3]


def test_names_are_unique():
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_builders_are_there_and_take_both_sizes(case):
    for builder in (case.ours, case.theirs):
        module, name = builder.split(":")
        file = ROOT / f"{module.replace('.', '/')}.py"
        found = {n.name: n for n in ast.parse(file.read_text()).body if hasattr(n, "name")}[name]
        if isinstance(found, ast.ClassDef):
            found = next(n for n in found.body if getattr(n, "name", "") == "__init__")
        takes = {argument.arg for argument in found.args.args} - {"self"}
        assert takes == set(case.sizes) == set(case.quick)


def test_what_must_be_equal_is_checked():
    for case in CASES:
        assert case.tolerances
        assert case.tolerances.get("parameters", 0.0) == 0.0
