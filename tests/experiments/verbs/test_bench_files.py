import json

import pytest

from experiments.verbs import bench_files
from experiments.verbs.errors import UserError

ENTRY = {
    "paper": "toy",
    "label": "demo",
    "device": "1 x cpu",
    "versions": {"jax": "0.10.2", "flax": "0.12"},
    "jax_version": "0.10.2",
    "commit": "abc",
    "date": "2026-11-24",
    "config": {"learning_rate": 0.1},
    "data": "phantom",
    "num_steps": 30,
    "compile_seconds": 3.0,
    "cached_compile_seconds": None,
    "step_ms": 10.0,
    "step_ms_p10": 9.0,
    "step_ms_p90": 11.0,
    "examples_per_second": 800.0,
    "loop_overhead_ms": -0.1,
    "input_wait_fraction": 0.0,
    "flops": 2e9,
    "bytes": 1e9,
    "roofline_fraction": 0.25,
    "bound": "memory",
    "peak_memory_bytes": 2**20,
}
FASTER = ENTRY | {"step_ms": 5.0, "step_ms_p10": 4.5, "step_ms_p90": 6.0, "examples_per_second": 1600.0}


def write(folder, name, content):
    file = folder / name
    file.write_text(json.dumps(content))
    return file


def test_ratios_are_those_of_the_second_file_to_the_first(tmp_path, capsys):
    first, second = write(tmp_path, "A.json", ENTRY), write(tmp_path, "B.json", FASTER)
    assert bench_files.compare(first, second) == 0
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["step_ms", "10", "5", "0.500"] in rows
    assert ["examples_per_second", "800", "1600", "2.000"] in rows
    assert ["compile_seconds", "3", "3", "1.000"] in rows
    names = {row[0] for row in rows if row}
    assert not {"cached_compile_seconds", "input_wait_fraction", "differs:", "only"} & names


def test_what_differs_beside_the_numbers_is_said(tmp_path, capsys):
    other = FASTER | {"device": "8 x H200", "commit": "def", "config": {"learning_rate": 0.2}}
    other["versions"] = {"jax": "0.11.0", "flax": "0.12"}
    bench_files.compare(write(tmp_path, "A.json", ENTRY), write(tmp_path, "B.json", other))
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("differs: ")]
    assert notes == [
        "differs: device: 1 x cpu | 8 x H200",
        "differs: versions jax: 0.10.2 | 0.11.0",
        "differs: commit: abc | def",
        "differs: config learning_rate: 0.1 | 0.2",
    ]


def test_differences_within_the_spread_are_called_so():
    assert not bench_files.differences(ENTRY, FASTER)
    (note,) = bench_files.differences(ENTRY, FASTER | {"step_ms_p90": 9.5})
    assert "overlap" in note


def test_files_of_many_are_compared_paper_by_paper(tmp_path, capsys):
    other = ENTRY | {"paper": "other"}
    first = write(tmp_path, "A.json", {"measurements": [ENTRY, other], "failures": []})
    second = write(tmp_path, "B.json", FASTER)
    bench_files.compare(first, second)
    printed = capsys.readouterr().out
    assert "toy demo" in printed
    assert f"only in {first}: other demo" in printed
    with pytest.raises(UserError, match="nothing is in both"):
        bench_files.compare(write(tmp_path, "C.json", other), second)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "cannot be read"), ("[]", "no file of bench"), ('{"paper": "toy"}', "no file of bench")],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    file = tmp_path / "A.json"
    file.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        bench_files.read(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"A\.json cannot be read"):
        bench_files.read(tmp_path / "A.json")


def test_markdown_has_a_row_for_each_and_says_where_from_and_what_is_missing():
    failure = {"paper": "broken", "method": "gan", "exit_code": 1}
    lines = bench_files.to_markdown([ENTRY, FASTER], [failure]).splitlines()
    rows = [line for line in lines if line.startswith("| toy")]
    assert len(rows) == 2
    assert "10 ms (9 ms - 11 ms)" in rows[0]
    assert "25 % (memory)" in rows[0]
    assert "3 s (-)" in rows[0]
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert sum(line.startswith("Measured on 1 x cpu") for line in lines) == 1
    assert "Not measured: broken gan, exit code 1." in lines
