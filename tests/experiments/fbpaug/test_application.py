import os
from pathlib import Path

import jax
import nibabel as nib
import numpy as np
import pytest

from data_pipelines.readers.scan import read_scan
from experiments.contract import Inference
from experiments.fbpaug import application, evaluate, figures
from jaxmed.augment import sinogram

REAL = os.environ.get("JAXMED_TEST_DATA")
needs_real_data = pytest.mark.skipif(not REAL, reason="JAXMED_TEST_DATA is not set")


def write_scan(path, affine):
    values = np.random.default_rng(0).integers(-1000, 300, (20, 24, 3)).astype(np.int16)
    image = nib.Nifti1Image(values, affine)
    image.set_qform(affine, code="scanner")
    nib.save(image, path)
    return image


@pytest.mark.parametrize("flip", [-1.0, pytest.param(1.0, marks=pytest.mark.exhaustive)])
def test_mask_lies_on_the_grid_and_affine_of_the_scan(flip, tiny, tiny_state, tmp_path):
    affine = np.diag([flip * 9.0, 9.0, 5.0, 1.0])
    affine[:3, 3] = [10, -20, 30]
    scan = write_scan(tmp_path / "scan.nii.gz", affine)
    application.predict(tiny, tiny_state, tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape == scan.shape
    np.testing.assert_allclose(mask.affine, scan.affine)
    assert set(np.unique(mask.dataobj)) <= {0, 1}


def test_predict_applies_what_make_inference_gives_away(tiny, tiny_state, tmp_path, monkeypatch):
    def threshold(config, state):
        return Inference(lambda _, slices: (slices > -200) * 1.0, {}, (), "int16", "", "")

    monkeypatch.setattr(evaluate, "make_inference", threshold)
    scan = write_scan(tmp_path / "scan.nii.gz", np.diag([8.0, 8.0, 5.0, 1.0]))
    application.predict(tiny, tiny_state, tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(mask.get_fdata() > 0, scan.get_fdata() > -200)


def test_sample_draws_the_phantom_or_a_scan(tiny, tmp_path):
    (drawn,) = application.sample(tiny, None, None, tmp_path)
    assert drawn.read_bytes().startswith(b"\x89PNG")
    write_scan(tmp_path / "scan.nii.gz", np.diag([9.0, 9.0, 5.0, 1.0]))
    (drawn,) = application.sample(tiny, None, tmp_path / "scan.nii.gz", tmp_path)
    assert drawn.name == "augmentations-scan.png"


@needs_real_data
def test_real_series_is_read_and_segmented_on_its_own_grid(tiny, tiny_state, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    for name in ("01.dcm", "02.dcm", "03.dcm"):
        (folder / name).symlink_to(Path(REAL) / "ct_liver_dcmqi" / name)
    application.predict(tiny, tiny_state, folder, tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.shape == (512, 512, 3)
    np.testing.assert_allclose(np.abs(np.diag(mask.affine)[:2]), 0.81, atol=0.01)


@needs_real_data
def test_kernel_change_on_real_ct_sharpens_and_smooths(tiny):
    """Roughness, the mean square difference of neighbours, rises and falls as the parameters say."""
    example = read_scan(Path(REAL) / "mrct_sts_pairs" / "STS_015_CT_image.nii.gz")
    image = example.image[example.image.shape[0] // 2]
    size = min(image.shape)
    image = image[:size, :size]

    def roughness(values):
        return np.square(np.diff(values, axis=0)).mean()

    sharp = figures.change_kernel(tiny, image, *figures.SHARPENING)
    smooth = figures.change_kernel(tiny, image, *figures.SMOOTHING)
    assert roughness(smooth) < roughness(image) < roughness(sharp)


def test_kernel_change_of_one_slice_is_the_augmentations(tiny, tiny_data):
    image = tiny_data.evaluation.arrays["pair-000"]["smooth"][0]
    change = sinogram.KernelChange(*np.array([[-0.5], [0.5]], np.float32), np.array([True]))
    change_kernel = jax.jit(sinogram.change_kernel, static_argnames=("num_angles", "method"))
    expected = change_kernel(
        np.asarray(image, np.float32)[None], change, num_angles=2 * tiny.num_angles, method=tiny.projection
    )
    np.testing.assert_array_equal(figures.change_kernel(tiny, image, -0.5, 0.5), np.asarray(expected)[0])
