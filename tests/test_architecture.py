"""The house rules that a program can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("jaxmed", "data_pipelines", "experiments")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_PAPER_LINES = 400, 60, 800
FORBIDDEN_NAMES = {"utils", "common", "helpers", "base", "misc", "core", "manager"}


def parse(path):
    return ast.parse(path.read_text())


def test_import_contracts_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_modules_are_short():
    long = {str(path): n for path in MODULES if (n := len(path.read_text().splitlines())) > MAX_MODULE_LINES}
    assert not long


def body_lines(function):
    body = function.body
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(body) > 1:
        first = body[1]
    return body[-1].end_lineno - first.lineno + 1


def test_functions_are_short():
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": body_lines(node)
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef) and body_lines(node) > MAX_FUNCTION_LINES
    }
    assert not long


def test_papers_are_small():
    papers = {path.parent for path in (ROOT / "experiments").glob("*/config.py")}
    sizes = {
        paper.name: sum(len(path.read_text().splitlines()) for path in paper.glob("*.py")) for paper in papers
    }
    assert sizes
    assert all(size < MAX_PAPER_LINES for size in sizes.values()), sizes


def test_names_say_what_a_module_is():
    assert not [path for path in MODULES if path.stem in FORBIDDEN_NAMES]


def test_package_files_hold_a_docstring_only():
    """Papers define EXPERIMENT there."""
    papers = {path.parent for path in (ROOT / "experiments").glob("*/config.py")}
    for path in MODULES:
        if path.name == "__init__.py" and path.parent not in papers:
            nodes = parse(path).body
            assert len(nodes) == 1, path
            assert isinstance(nodes[0], ast.Expr), path


def imported_modules(path):
    """Paths of the modules of our packages that `path` imports."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {ROOT / f"{name.replace('.', '/')}.py" for name in names}


def has_own_test(path, package):
    folder = ROOT / "tests" / ("" if package == "jaxmed" else package)
    folder /= path.relative_to(ROOT / package).parent
    return any(test.stem.startswith(f"test_{path.stem}") for test in folder.glob("test_*.py"))


@pytest.mark.parametrize("package", ["jaxmed", "data_pipelines"])
def test_tests_mirror_the_tree(package):
    """A module has a test file of its name in the mirrored folder, or serves one of its package that has."""
    modules = [path for path in MODULES if path.is_relative_to(ROOT / package)]
    reached = {path for path in modules if has_own_test(path, package)}
    frontier = set(reached)
    while frontier:
        frontier = set().union(*map(imported_modules, frontier)) & set(modules) - reached
        reached |= frontier
    missing = [
        str(path.relative_to(ROOT))
        for path in set(modules) - reached
        if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in parse(path).body)
    ]
    assert not missing


def test_library_runs_without_tensorflow_medical_readers_and_tyro():
    """GPU and TPU machines often have JAX and nothing else; what takes long to import waits for its use."""
    modules = ("jaxmed.train.fit", "experiments.verbs.table", "experiments.fbpaug")
    blocked = ("tensorflow", "tensorflow_datasets", "nibabel", "pydicom", "tyro")
    late = ("matplotlib", "scipy.stats")
    program = (
        "import sys, importlib, importlib.abc\n"
        "class Block(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {blocked!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        f"assert not set({late!r}) & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
