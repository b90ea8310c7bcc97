import ast
from pathlib import Path

import pytest

from benchmarks.peers.cases import CASES

ROOT = Path(__file__).parents[3]


def test_names_are_unique():
    assert len({case.name for case in CASES}) == len(CASES)


def find_arguments(nodes, name):
    """Of a function or of a class's constructor, which may be that of its first base."""
    found = nodes[name]
    if isinstance(found, ast.ClassDef):
        constructors = [n for n in found.body if getattr(n, "name", "") == "__init__"]
        if not constructors:
            return find_arguments(nodes, found.bases[0].id)
        found = constructors[0]
    return {argument.arg for argument in found.args.args} - {"self"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_builders_are_there_and_take_both_sizes(case):
    for builder in (case.ours, case.theirs):
        module, name = builder.split(":")
        source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        nodes = {node.name: node for node in ast.parse(source).body if hasattr(node, "name")}
        assert find_arguments(nodes, name) == set(case.sizes) == set(case.quick)


def test_what_must_be_equal_is_checked():
    for case in CASES:
        assert case.tolerances
        assert case.tolerances.get("parameters", 0.0) == 0.0
