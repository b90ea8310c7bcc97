from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from data_pipelines.readers.errors import ReadError
from experiments.fbpaug import application, data, real_data


def test_folds_share_no_case_and_cover_all(tiny, cache_dir):
    seen = []
    for fold in range(tiny.num_folds):
        made = data.make_data(replace(tiny, fold=fold), seed=0, data_dir=None, cache_dir=cache_dir)
        seen += made.evaluation.test
    assert sorted(seen) == [f"case-{number:03d}" for number in range(tiny.phantom.num_cases)]


def test_pairs_share_anatomy_and_differ_in_noise(tiny_data):
    arrays = tiny_data.evaluation.arrays["pair-000"]
    smooth, sharp = (arrays[kernel].astype(float) for kernel in ("smooth", "sharp"))
    assert np.corrcoef(smooth.ravel(), sharp.ravel())[0, 1] > 0.95
    assert np.abs(np.diff(sharp, axis=1)).mean() > np.abs(np.diff(smooth, axis=1)).mean()


def test_masks_lie_on_what_they_mark(tiny_data):
    """Lesions are denser than air and less dense than bone."""
    for name, arrays in tiny_data.evaluation.arrays.items():
        if name.startswith("case"):
            marked = arrays["image"][arrays["label"] > 0]
            assert marked.size == 0 or -900 < marked.mean() < 200


def save(path, values, spacing):
    """Writes (depth, height, width) = superior, posterior, left as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-spacing, -spacing, 8.0, 1.0])
    image = nib.Nifti1Image(values.transpose(2, 1, 0), affine)
    image.set_qform(affine, code="scanner")
    nib.save(image, path)


@pytest.fixture
def mosmed_folder(tmp_path, tiny_data):
    """MosMedData's layout with pairs beside it, from phantoms, at twice the tiny preset's resolution."""
    arrays = tiny_data.evaluation.arrays
    for number in range(3):
        case = {name: np.asarray(values) for name, values in arrays[f"case-{number:03d}"].items()}
        image, label = (
            np.kron(case[name], np.ones((1, 2, 2), case[name].dtype)) for name in ("image", "label")
        )
        save(tmp_path / f"real/studies/CT-1/study_{number:04d}.nii.gz", image, 4.0)
        save(tmp_path / f"real/masks/study_{number:04d}_mask.nii.gz", label, 4.0)
    for kernel in ("smooth", "sharp"):
        save(tmp_path / f"real/pairs/{kernel}/scan.nii.gz", np.asarray(arrays["pair-000"][kernel]), 8.0)
    return tmp_path / "real"


def test_real_data_come_on_the_grid_of_the_config(mosmed_folder, tiny, tiny_data, tmp_path):
    made = data.make_data(tiny, seed=0, data_dir=mosmed_folder, cache_dir=tmp_path / "cache")
    assert made.name == "real"
    assert made.evaluation.pairs == ("pair-scan",)
    for name, shape in data.example_batch(tiny).items():
        batch = next(made.batches(0))
        assert (batch[name].shape, batch[name].dtype) == (shape.shape, shape.dtype)
    pair, original = (d.evaluation.arrays for d in (made, tiny_data))
    np.testing.assert_array_equal(pair["pair-scan"]["smooth"], original["pair-000"]["smooth"])
    assert float(pair["pair-scan"]["voxel_ml"]) == pytest.approx(8.0**3 / 1000)
    case = pair["case-study_0001"]
    np.testing.assert_array_equal(case["image"], original["case-001"]["image"])
    np.testing.assert_array_equal(case["label"], original["case-001"]["label"])


def test_check_data_reports_cases_pairs_and_problems(mosmed_folder, tiny):
    report, num_problems = application.check_data(tiny, mosmed_folder)
    assert num_problems == 0
    assert "cases: 3" in report
    assert "pairs of kernels" in report
    (mosmed_folder / "studies/CT-1/study_0001.nii.gz").write_bytes(b"not a volume")
    report, num_problems = application.check_data(tiny, mosmed_folder)
    assert num_problems == 1
    assert "study_0001" in report


def test_folder_without_masks_is_refused(tmp_path):
    save(tmp_path / "images/scan.nii.gz", np.zeros((2, 4, 4), np.int16), 8.0)
    with pytest.raises(ReadError, match="no volume with a mask"):
        real_data.find_files(tmp_path)
