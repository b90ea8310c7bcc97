"""Paper 03 on a skull-stripped T1-weighted scan with FreeSurfer's labels; needs JAXMED_TEST_DATA."""

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pytest

from data_pipelines import head_volumes
from data_pipelines.head_study import to_range
from data_pipelines.readers import nifti
from experiments.stylegan3d import algorithm, application
from experiments.stylegan3d.config import SIZES
from jaxmed.metrics.ventricles import ventricle_ml

REAL = os.environ.get("JAXMED_TEST_DATA")
pytestmark = pytest.mark.skipif(not REAL, reason="JAXMED_TEST_DATA is not set")

SHAPE = SIZES["2mm-fd96"].shape
LEFT_VENTRICLE, RIGHT_VENTRICLE = 4, 43
WHITE_MATTER = (2, 41)
CEREBELLUM = (8, 47)


@pytest.fixture(scope="module")
def file():
    return Path(REAL) / "mr_brain_t1" / "voxelmorph_test_scan.npz"


@pytest.fixture(scope="module")
def arrays(file):
    with np.load(file) as stored:
        return {"vol": stored["vol"], "seg": stored["seg"].astype(np.uint8)}


@pytest.fixture(scope="module")
def labels(arrays, tmp_path_factory):
    """The label map, as the reader turns a volume."""
    path = tmp_path_factory.mktemp("labels") / "labels.npz"
    np.savez(path, vol=arrays["seg"])
    return head_volumes.HeadCase("labels", path).read().image


@pytest.fixture(scope="module")
def head(file):
    return head_volumes.place(head_volumes.HeadCase("head", file).read(), SHAPE)


def centre(labels, *wanted):
    """Middle of structures in mm towards the right, the front and the top."""
    places = np.argwhere(np.isin(labels, wanted))
    affine = head_volumes.standard_affine(labels.shape, (1.0, 1.0, 1.0))
    return affine[:3, :3] @ places.mean(axis=0) + affine[:3, 3]


def write_altered(file, vol):
    np.savez(file, vol=vol)
    return head_volumes.place(head_volumes.HeadCase("altered", file).read(), SHAPE).image


def test_structures_lie_where_anatomy_has_them(labels):
    assert centre(labels, LEFT_VENTRICLE)[0] < -5
    assert centre(labels, RIGHT_VENTRICLE)[0] > 5
    _, behind, below = centre(labels, *CEREBELLUM) - centre(labels, *WHITE_MATTER)
    assert behind < -20
    assert below < -20


def test_the_grids_affine_leads_to_the_same_structures(head, labels):
    """Labels are carried over by the two affines alone, and meet fluid and bright white matter."""
    to_mm = head_volumes.standard_affine(labels.shape, (1.0, 1.0, 1.0))
    to_voxel = np.linalg.inv(head.affine) @ to_mm
    volume = head_volumes.from_grid(head.image)

    def median(*wanted):
        places = np.argwhere(np.isin(labels, wanted))
        found = np.rint(places @ to_voxel[:3, :3].T + to_voxel[:3, 3]).astype(int)
        return np.median(volume[tuple(found.T)])

    fluid, white = median(LEFT_VENTRICLE, RIGHT_VENTRICLE), median(*WHITE_MATTER)
    assert fluid < 0.42 * np.median(volume[volume > 0])
    assert white > 3 * fluid


def test_the_whole_range_is_used(head):
    assert head.image.shape == SHAPE
    assert head.image.dtype == np.uint8
    inside = head.image[head.image > 0]
    assert np.percentile(inside, 99.5) == 255
    assert np.percentile(inside, 99) < 255
    # The head is in the middle, and none of it lies beyond the grid.
    borders = [np.take(head.image, (0, -1), axis=axis) for axis in range(3)]
    assert not any(border.any() for border in borders)


def test_measured_ventricles_are_those_of_the_labels_and_more(head, arrays, tmp_path):
    """With the ventricles made white matter the measure loses their volume; what is left is grey matter."""
    labelled = np.isin(arrays["seg"], (LEFT_VENTRICLE, RIGHT_VENTRICLE))
    white = np.median(arrays["vol"][np.isin(arrays["seg"], WHITE_MATTER)])
    without = write_altered(tmp_path / "filled.npz", np.where(labelled, white, arrays["vol"]))
    measured, rest = (ventricle_ml(one / np.float32(255), 2.0) for one in (head.image, without))
    exact = labelled.sum() / 1000
    assert exact == pytest.approx(21.2, abs=0.05)
    assert measured == pytest.approx(55.3, abs=0.5)
    assert 0.7 < (measured - rest) / exact < 1.1


def test_it_is_projected_onto_its_own_place(file, tiny, state, tmp_path, capsys):
    config = dataclasses.replace(tiny, evaluation=dataclasses.replace(tiny.evaluation, projection_steps=30))
    application.predict(config, state, file, tmp_path / "found.nii.gz")
    wanted = head_volumes.place(head_volumes.HeadCase("head", file).read(), tiny.networks.shape)
    found = nifti.read_volume(tmp_path / "found.nii.gz")
    np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-4)
    target = to_range(wanted.image)
    images = 2 * head_volumes.to_grid(found.image) - 1
    error = np.square(images - target).mean()
    said = re.search(r"voxels in \[-1, 1\]: (\S+)", capsys.readouterr().out)
    assert float(said[1]) == pytest.approx(error, abs=1e-4)
    start = algorithm.make_sampler(config, state).draw(1, psi=0.0)[0, ..., 0]
    assert error < np.square(start - target).mean()
