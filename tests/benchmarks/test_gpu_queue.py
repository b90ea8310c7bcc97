import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_queue, operators, run, steps
from benchmarks.gpu_queue import Item
from benchmarks.peers.cases import CASES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a module that can be run by name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return make


def test_items_are_isolated_and_the_file_is_kept(program, monkeypatch, tmp_path, capsys):
    good = program("good", "import sys; open(sys.argv[1], 'w').write('{\"x\": 1}'); print('fine')")
    bad = program("bad", "print('before'); raise SystemExit('broken')")
    slow = program("slow", "import time; print('begun', flush=True); time.sleep(60)")
    items = tuple(
        Item(name, f"{command} {{out}}", f"{command} {{out}}", limit)
        for name, command, limit in (("bad", bad, 30.0), ("slow", slow, 2.0), ("good", good, 30.0))
    )
    monkeypatch.setattr(gpu_queue, "ITEMS", items)
    output = tmp_path / "queue.json"
    assert gpu_queue.main(["--quick", "--output", str(output)]) == 1
    records = {record["name"]: record for record in json.loads(output.read_text())["items"]}
    assert {name: record["status"] for name, record in records.items()} == {
        "bad": "failed",
        "slow": "cut off",
        "good": "done",
    }
    assert records["good"]["results"] == {"result": {"x": 1}}
    assert records["bad"]["output"] == "before\nbroken"
    assert records["slow"]["output"] == "begun"
    assert records["slow"]["seconds"] < 10
    assert "== good: done" in capsys.readouterr().out


def test_no_item_begins_without_time(program):
    item = Item("late", program("late", ""), "late", 60.0)
    record = gpu_queue.carry_out(item, 5.0, quick=False)
    assert (record["status"], record["output"]) == ("not started", "5 s left")


def test_a_real_item_at_tiny_size():
    item = next(item for item in gpu_queue.ITEMS if item.name == "radon-forms")
    record = gpu_queue.carry_out(item, 100.0, quick=True)
    assert record["status"] == "done", record["output"]
    assert "row scan" in record["results"]["result"]["ms_per_slice"]


def test_items_name_programs_that_exist():
    for item in gpu_queue.ITEMS:
        for command in (item.command, item.quick):
            module = command.split()[0]
            assert module == "pytest" or (ROOT / f"{module.replace('.', '/')}.py").exists()


def test_nothing_needs_what_gpu_machines_lack():
    modules = {item.command.split()[0] for item in gpu_queue.ITEMS} - {"pytest"}
    ours = {case.ours.split(":")[0] for case in CASES if case.platform == "gpu"}
    program = (
        "import importlib, sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('tensorflow', 'nibabel', 'pydicom', 'tyro', 'monai'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"for name in {sorted(modules | ours)}: importlib.import_module(name)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_comparisons_that_the_queue_names_exist():
    commands = [c for item in gpu_queue.ITEMS for c in (item.command, item.quick) if " --only " in c]
    parsers = {"benchmarks.run": run, "benchmarks.operators": operators, "benchmarks.steps": steps}
    assert {command.split()[0] for command in commands} == set(parsers)
    for module, *arguments in map(str.split, commands):
        parsers[module].parse_arguments(arguments)


def test_the_list_and_the_queue_agree():
    text = (ROOT / "experiments" / "bench_queue.md").read_text()
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.M)) == {item.name for item in gpu_queue.ITEMS}
