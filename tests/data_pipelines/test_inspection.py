import gzip
import warnings
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest

from data_pipelines import inspection
from data_pipelines.example import Example
from data_pipelines.readers import paired_kernels, volume_folder

MASK = (np.arange(24).reshape(2, 3, 4) > 20).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, write_nifti):
    """Three good volumes (one without mask) and three bad ones."""
    image = np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 1000
    for name in "abcde":
        write_nifti(tmp_path / "images" / f"{name}.nii.gz", image)
    write_nifti(tmp_path / "images" / "f.nii.gz", np.zeros((2, 2, 6), np.int16), np.diag([0.5, 1, 2, 1]))
    write_nifti(tmp_path / "masks" / "a.nii.gz", MASK)
    write_nifti(tmp_path / "masks" / "b.nii.gz", 5 * MASK)
    write_nifti(tmp_path / "masks" / "c.nii.gz", np.zeros((2, 3, 4), np.uint8))
    truncated = tmp_path / "images" / "d.nii.gz"
    truncated.write_bytes(truncated.read_bytes()[:-9])
    (tmp_path / "images" / "e.nii.gz").write_bytes(b"")
    return tmp_path


def test_every_case_is_tried_and_every_problem_named(folder):
    done = []
    cases = volume_folder.find_cases(folder, num_classes=2)
    report = inspection.inspect_volumes(cases, progress=lambda count, total: done.append((count, total)))
    assert done == [(count, 6) for count in range(1, 7)]
    assert report.num_cases == 6
    assert [volume.subject for volume in report.volumes] == ["a", "c", "f"]
    assert [problem.subject for problem in report.problems] == ["b", "d", "e"]
    for problem, file in zip(report.problems, ("masks/b", "images/d", "images/e"), strict=True):
        assert problem.message.startswith(f"{folder}/{file}.nii.gz: found ")
    first = report.volumes[0]
    assert first == inspection.VolumeSummary("a", (4, 3, 2), (1.0, 1.0, 1.0), -1000, -977, ((0, 21), (1, 3)))
    assert report.remarks == ()


def test_report_as_text(folder):
    report = inspection.inspect_volumes(volume_folder.find_cases(folder, num_classes=2))
    lines = inspection.format_report(report).splitlines()
    assert lines[:8] == [
        "cases: 6, volumes read: 3",
        "shape, depth x height x width: 4..6 x 2..3 x 2",
        "spacing (mm), depth x height x width: 1..2 x 1 x 0.5..1",
        "image values: -1000 to 0",
        "constant image: f",
        "volumes with a mask: 2",
        "label 0: 45 voxels, present in 2 of 2 masks",
        "label 1: 3 voxels, present in 1 of 2 masks",
    ]
    assert [line.split(":")[:2] for line in lines[8:]] == [
        ["problem", " b"],
        ["problem", " d"],
        ["problem", " e"],
        ["problems", " 3"],
    ]


@dataclass(frozen=True)
class Crash:
    subject: str = "crash"

    def read(self) -> Example:
        raise MemoryError("too\nlarge")


def test_errors_of_any_kind_become_problems():
    report = inspection.inspect_volumes([Crash()])
    assert report.problems == (inspection.Problem("crash", "MemoryError: too large"),)


def test_no_case_and_doubled_names_are_problems(folder):
    assert inspection.inspect_volumes([]).problems[0].message == "found no case; wanted at least one"
    assert inspection.format_report(inspection.inspect_volumes([])).endswith("problems: 1")
    case = volume_folder.find_cases(folder, num_classes=2)[0]
    (problem,) = inspection.inspect_volumes([case, case]).problems
    assert problem == inspection.Problem("a", "found 2 cases of this name; wanted one")


def test_warnings_become_remarks(tmp_path):
    header = nib.Nifti1Header(nib.Nifti1Image(MASK, np.eye(4)).to_bytes()[:348])
    header["sform_code"] = header["qform_code"] = 0
    (tmp_path / "images").mkdir()
    content = header.binaryblock + bytes(4) + MASK.tobytes()
    (tmp_path / "images" / "a.nii.gz").write_bytes(gzip.compress(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = inspection.inspect_volumes(volume_folder.find_cases(tmp_path))
    assert report.problems == ()
    (remark,) = report.remarks
    assert "neither qform nor sform" in remark.message
    assert f"remark: a: {remark.message}" in inspection.format_report(report)


def test_pairs_count_as_two_volumes(tmp_path, write_series):
    volume = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    for uid, kernel in (("1.2.1", "B30f"), ("1.2.2", "B70f")):
        write_series(tmp_path / uid, volume, SeriesInstanceUID=uid, ConvolutionKernel=kernel)
    report = inspection.inspect_volumes(paired_kernels.find_pairs(tmp_path))
    assert (report.num_cases, len(report.volumes), report.problems) == (1, 2, ())
    assert report.volumes[0].subject == report.volumes[1].subject


def test_groups_are_reported_one_after_the_other_and_their_problems_added_up(folder):
    cases = volume_folder.find_cases(folder, num_classes=2)
    text, num_problems = inspection.inspect_groups({"good": cases[:1], "all": cases})
    assert num_problems == 3
    assert text.index("good\ncases: 1") < text.index("all\ncases: 6")
