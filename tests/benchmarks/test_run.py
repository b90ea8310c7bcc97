import dataclasses
import json

import pytest

from benchmarks import run
from benchmarks.peers import pairing
from benchmarks.peers.cases import CASES, Program

SCIKIT_IMAGE = next(case for case in CASES if case.name == "radon-scikit-image")
ABSENT = dataclasses.replace(SCIKIT_IMAGE, name="absent", packages=("no_such_package",))


def test_a_comparison_from_end_to_end(tmp_path, capsys, monkeypatch):
    """The other one is named in one line, and both are in the files of the day."""
    program = Program("words", "a program", "no_such_module", "timeit -n 1 -r 1 pass")
    monkeypatch.setattr(run, "CASES", (SCIKIT_IMAGE, ABSENT))
    monkeypatch.setattr(run, "PROGRAMS", (program,))
    assert run.main(["--quick", "--folder", str(tmp_path)]) == 1
    (file,) = tmp_path.glob("*.json")
    found = {entry["name"]: entry for entry in json.loads(file.read_text())["comparisons"]}
    measured = found["radon-scikit-image"]
    assert measured["agreement"]["relative rms"] < 1e-2
    assert len(measured["seconds_per_item"]["ours"]) >= 2
    assert measured["ratio"]["min"] > 0
    assert found["absent"]["error"].startswith("needs no_such_package, not installed here: pip install")
    assert "\n" not in found["absent"]["error"]
    assert "error" not in found["words"]
    assert {"device", "commit", "date", "software", "threads", "load_average"} <= set(measured)
    assert file.with_suffix(".md").exists()
    assert file.with_suffix(".png").exists()
    assert "2/3 absent" in capsys.readouterr().out


def test_sides_that_differ_are_not_compared(monkeypatch):
    strict = dataclasses.replace(SCIKIT_IMAGE, tolerances={"relative rms": 1e-9})
    with pytest.raises(pairing.DisagreementError, match="relative rms"):
        pairing.compare(strict, pairing.QUICK, quick=True, threads=1)


def test_results_of_a_day_are_joined(tmp_path):
    stem = tmp_path / "cpu-2026-01-01"
    for name, error in (("unet-2d", "first"), ("other", "stays"), ("unet-2d", "second")):
        run.save(stem, {"name": name, "title": name, "error": error})
    kept = json.loads((tmp_path / "cpu-2026-01-01.json").read_text())["comparisons"]
    assert [(entry["name"], entry["error"]) for entry in kept] == [("unet-2d", "second"), ("other", "stays")]


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("1 x cpu (AMD EPYC)", "cpu-amd-epyc"),
        ("1 x cpu (Intel(R) Xeon(R) Processor)", "cpu-intel-xeon-processor"),
        ("1 x NVIDIA H100 80GB HBM3", "nvidia-h100-80gb-hbm3"),
    ],
)
def test_files_are_named_after_the_device(device, name):
    assert run.device_name(device) == name


def test_the_list_names_all(capsys):
    assert run.main(["--list"]) == 0
    assert all(case.name in capsys.readouterr().out for case in CASES[:1])
