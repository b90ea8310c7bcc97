import dataclasses
import json
from pathlib import Path

import pytest

from experiments.verbs import bench_all, command_line, papers
from experiments.verbs.bench import BenchOptions
from experiments.verbs.errors import UserError
from experiments.verbs.options import FaultOptions, MeshOptions
from jaxmed.train.hosts import Hosts

PAPER = "fbpaug"
QUICK = "activelearn"


def test_papers_are_measured_in_processes_of_their_own_and_written_together(tmp_path, capsys):
    arguments = ["--all", "--papers", QUICK, "--steps", "2", "--workdir", str(tmp_path), "--mesh.data", "1"]
    arguments += ["--input", "threads"]
    assert bench_all.without_paper(arguments) == 0
    together = json.loads((tmp_path / "bench-tiny.json").read_text())
    (entry,) = together["measurements"]
    (own,) = (tmp_path / QUICK).glob("bench-tiny-*.json")
    assert entry == json.loads(own.read_text())
    assert (entry["paper"], entry["num_steps"], entry["mesh"]["data"]) == (QUICK, 2, 1)
    assert together["failures"] == []
    assert f"| {QUICK} | tiny |" in (tmp_path / "bench-tiny.md").read_text()
    assert str(tmp_path / "bench-tiny.md") in capsys.readouterr().out


def test_paper_that_fails_is_named_and_the_rest_is_written(tmp_path, capsys):
    options = bench_all.BenchAllOptions(workdir=tmp_path, papers=(PAPER,), data_dir=tmp_path / "nowhere")
    assert bench_all.bench_all(options) == 1
    together = json.loads((tmp_path / "bench-tiny.json").read_text())
    assert together["measurements"] == []
    assert together["failures"] == [{"paper": PAPER, "method": "", "exit_code": 2}]
    assert f"Not measured: {PAPER}" in capsys.readouterr().out


def test_all_methods_are_the_presets_own_and_then_the_others():
    options = bench_all.BenchAllOptions(papers=(PAPER,), methods="all")
    names = bench_all.list_names(options)
    experiment = papers.find_paper(PAPER)
    found = [getattr(name.config, experiment.method_field) for name, _ in names]
    assert found[0] == getattr(experiment.presets["tiny"], experiment.method_field)
    assert len(found) == len(set(found)) > 1
    assert [method for _, method in names] == ["", *found[1:]]
    only = bench_all.list_names(dataclasses.replace(options, methods="default"))
    assert only == names[:1]


def test_options_reach_the_other_process_as_they_are():
    options = BenchOptions(
        workdir=Path("a folder"),
        resume=False,
        profile=True,
        mesh=MeshOptions(data=2),
        faults=FaultOptions(max_bad_cases=3),
        peak_dtype="bfloat16",
        compile="pmap",
    )
    arguments = bench_all.as_arguments(options, BenchOptions())
    parsed = command_line.parse("program", {"options": BenchOptions()}, arguments)
    assert parsed["options"] == options
    assert bench_all.as_arguments(BenchOptions(), BenchOptions()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compare", "A.json"], "two files"),
        (["--all", "--papers", "fbpag"], "did you mean 'fbpaug'"),
        (["--all", "--preset", "large"], "unknown preset 'large'"),
    ],
)
def test_commands_that_cannot_be_carried_out_are_refused_in_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        bench_all.without_paper(arguments)


def test_several_processes_are_refused():
    hosts = Hosts(coordinator="localhost:1234", num_processes=2, process_id=0)
    with pytest.raises(UserError, match="one process"):
        bench_all.bench_all(bench_all.BenchAllOptions(hosts=hosts))
