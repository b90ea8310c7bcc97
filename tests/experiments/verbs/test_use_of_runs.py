"""The verbs sample, predict and check-data on a paper that offers them, and on one that does not."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from data_pipelines.readers.errors import ReadError
from experiments.verbs import papers, runs
from experiments.verbs.check_data import CheckDataOptions, check_data
from experiments.verbs.errors import UserError
from experiments.verbs.options import RunOptions
from experiments.verbs.predict import PredictOptions, predict
from experiments.verbs.sample import SampleOptions, sample


def weight(state):
    return float(state.net.params["Dense_0"]["kernel"][0, 0])


def draw(config, state, input, directory):
    file = directory / "sample.txt"
    file.write_text(f"{config.slope} {'untrained' if state is None else round(weight(state))}")
    return [file]


def write(config, state, input, output):
    output.write_text(f"{input.read_text()} x {round(weight(state))}")


@pytest.fixture
def able(toy, monkeypatch):
    able = replace(
        toy, sample=draw, predict=write, check_data=lambda config, folder: (f"in {folder.name}", 2)
    )
    monkeypatch.setattr(papers, "find_paper", lambda name: able)
    return able


@pytest.fixture
def run_folder(able, tmp_path):
    name = runs.RunName("toy", "demo", replace(able.presets["demo"], slope="two"), 0)
    return runs.run(name, RunOptions(workdir=tmp_path / "runs"))


def test_sample_uses_the_run_where_one_is_named(able, run_folder, tmp_path, capsys):
    options = SampleOptions(output_dir=tmp_path / "drawn")
    assert sample("toy", able.presets["demo"], options) == 0
    assert (tmp_path / "drawn/sample.txt").read_text() == "one untrained"
    sample("toy", able.presets["demo"], replace(options, run=run_folder))
    assert (tmp_path / "drawn/sample.txt").read_text() == "two 2"
    assert "sample.txt" in capsys.readouterr().out


def test_predict_applies_the_run_to_the_input(able, run_folder, tmp_path):
    (tmp_path / "scan").write_text("scan")
    options = PredictOptions(run=run_folder, input=tmp_path / "scan", output=tmp_path / "mask")
    assert predict("toy", options) == 0
    assert (tmp_path / "mask").read_text() == "scan x 2"
    with pytest.raises(UserError, match="is a run of toy, not of other"):
        predict("other", options)


def write_nifti(path, array):
    image = nib.Nifti1Image(array, np.eye(4))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


@pytest.mark.parametrize(
    ("numbers", "lines"),
    [
        # Of 4 and 8 voxels 4 in common.
        ([1, 1, 0], ["Dice of all labels: 0.667"]),
        # 6 labelled and 8 predicted; of the first label 4 and 4, of the second 2 and 4.
        ([1, 2, 0], ["Dice of all labels: 0.857", "Dice of label 1: 1.000", "Dice of label 2: 0.667"]),
    ],
)
def test_predicted_masks_are_compared_with_labels(
    able, run_folder, tmp_path, capsys, monkeypatch, numbers, lines
):
    found = np.repeat(np.array(numbers, np.uint8), 4).reshape(3, 2, 2)
    wanted = np.zeros_like(found)
    wanted[0] = 1
    wanted[1, 0] = 2 * (2 in numbers)

    def predict_found(config, state, input, output):
        write_nifti(output, found)

    monkeypatch.setattr(papers, "find_paper", lambda name: replace(able, predict=predict_found))
    scan = write_nifti(tmp_path / "scan.nii.gz", found.astype(np.float32))
    label = write_nifti(tmp_path / "label.nii.gz", wanted)
    options = PredictOptions(run_folder, scan, tmp_path / "mask.nii.gz", label)
    assert predict("toy", options) == 0
    assert capsys.readouterr().out.splitlines() == [str(options.output), *lines]
    predict("toy", replace(options, label=None))
    assert capsys.readouterr().out.splitlines() == [str(options.output)]


def test_labels_that_cannot_be_compared_are_refused_before_anything_is_predicted(able, run_folder, tmp_path):
    scan = write_nifti(tmp_path / "scan.nii.gz", np.zeros((2, 3, 4), np.float32))
    options = PredictOptions(run_folder, scan, tmp_path / "mask.nii.gz", tmp_path / "label.nii.gz")
    with pytest.raises(UserError, match=r"--label .*label\.nii\.gz is no file"):
        predict("toy", options)
    label = write_nifti(tmp_path / "label.nii.gz", np.zeros((2, 3, 5), np.uint8))
    with pytest.raises(UserError, match=r"wanted an --output in NIfTI, not .*out\.csv"):
        predict("toy", replace(options, output=tmp_path / "out.csv"))
    with pytest.raises(ReadError, match=r"label\.nii\.gz: found a mask of canonical shape"):
        predict("toy", replace(options, label=label))
    assert not options.output.exists()


def test_check_data_exits_with_1_where_there_are_problems(able, tmp_path, capsys):
    assert check_data("toy", able.presets["demo"], CheckDataOptions(tmp_path)) == 1
    assert capsys.readouterr().out == f"in {tmp_path.name}\n"


def test_papers_that_offer_nothing_say_so(toy, tmp_path):
    with pytest.raises(UserError, match="toy draws no samples"):
        sample("toy", toy.presets["demo"], SampleOptions())
    with pytest.raises(UserError, match="toy has nothing to predict"):
        predict("toy", PredictOptions(tmp_path, tmp_path, tmp_path))
    with pytest.raises(UserError, match="toy reads no real data"):
        check_data("toy", toy.presets["demo"], CheckDataOptions(tmp_path))
