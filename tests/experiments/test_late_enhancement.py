"""Papers on hearts, applied by the verb predict to a real late-enhancement volume; needs JAXMED_TEST_DATA."""

import os
from pathlib import Path

import jax
import nibabel as nib
import numpy as np
import pytest

from data_pipelines.readers.scan import read_scan
from experiments.verbs import options, papers, predict, runs

REAL = os.environ.get("JAXMED_TEST_DATA")
pytestmark = pytest.mark.skipif(not REAL, reason="JAXMED_TEST_DATA is not set")

LABELS = {"fsnet": {0, 1, 2}, "mpunet": {0, 1}}
"""Background, myocardium, blood pool; background, left atrium."""


@pytest.fixture(scope="module")
def voxels():
    """Columns, rows, slices of the middle of the volume, of 1.25 x 1.25 x 2.5 mm."""
    volume = np.load(Path(REAL) / "cardiac_lge_mr" / "lge.npz")["vol"]
    return volume[14:30, 104:152, 104:152].transpose(2, 1, 0)


@pytest.fixture(scope="module")
def affine():
    """Towards left, posterior and superior, tilted by 20 degrees about the first axis."""
    cos, sin = np.cos(np.radians(20)), np.sin(np.radians(20))
    matrix = np.diag([-1.25, -1.25, 2.5, 1.0])
    matrix[:3] = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ matrix[:3]
    matrix[:3, 3] = [60.0, -40.0, 12.5]
    return matrix


def write(path, voxels, affine):
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code="scanner")
    nib.save(image, path)
    return path


@pytest.fixture(scope="module", params=sorted(LABELS))
def run_folder(request, tmp_path_factory, cache_dir):
    name = runs.RunName(request.param, "tiny", papers.find_paper(request.param).presets["tiny"], 0)
    workdir = tmp_path_factory.mktemp("runs")
    mesh = options.MeshOptions(data=1)
    return runs.run(name, options.RunOptions(workdir=workdir, cache_dir=cache_dir, mesh=mesh))


def segment(run_folder, scan, output):
    paper = run_folder.parent.parent.name
    assert predict.predict(paper, predict.PredictOptions(run_folder, scan, output)) == 0
    return nib.load(output)


def test_mask_has_the_scans_grid_and_the_papers_labels(run_folder, voxels, affine, tmp_path):
    scan = write(tmp_path / "scan.nii.gz", voxels, affine)
    mask = segment(run_folder, scan, tmp_path / "mask.nii.gz")
    assert mask.shape == voxels.shape
    np.testing.assert_allclose(mask.affine, affine, atol=1e-5)
    assert mask.get_data_dtype() == np.uint8
    assert set(np.unique(mask.dataobj)) <= LABELS[run_folder.parent.parent.name]


def test_the_order_in_which_a_file_stores_its_voxels_does_not_matter(run_folder, voxels, affine, tmp_path):
    """The same volume, stored from left to right and slices first."""
    mirrored = affine @ np.diag([-1.0, 1, 1, 1])
    mirrored[:3, 3] = (affine @ [len(voxels) - 1, 0, 0, 1])[:3]
    turned = mirrored[:, [2, 0, 1, 3]]
    first = write(tmp_path / "first.nii.gz", voxels, affine)
    other = write(tmp_path / "other.nii.gz", voxels[::-1].transpose(2, 0, 1), turned)
    np.testing.assert_array_equal(read_scan(first).image, read_scan(other).image)
    mask, again = (segment(run_folder, scan, tmp_path / f"mask-{scan.name}") for scan in (first, other))
    found = np.asarray(mask.dataobj)
    np.testing.assert_array_equal(np.asarray(again.dataobj), found[::-1].transpose(2, 0, 1))
    np.testing.assert_allclose(again.affine, turned, atol=1e-5)


def test_probabilities_of_real_intensities_are_finite(run_folder, voxels, affine, tmp_path):
    """Masks are whole numbers and would hide NaN."""
    experiment, name, state = runs.load(run_folder)
    network = experiment.make_inference(name.config, state)
    image = read_scan(write(tmp_path / "scan.nii.gz", voxels, affine)).image
    # A window of depth, height, width and one channel, or a plane.
    shape = network.input_shape[1:]
    window = image[tuple(slice(4, 4 + n) for n in (shape[:3] if len(shape) == 4 else (1, *shape)))]
    inputs = ((window - image.mean()) / image.std()).reshape(1, *shape)
    found = np.asarray(jax.jit(network.function)(network.variables, inputs))
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
