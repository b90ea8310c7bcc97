from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from data_pipelines import annotated_angiograms
from data_pipelines.annotated_angiograms import Preparation
from data_pipelines.readers.errors import ReadError

PREPARATION = Preparation(voxel_mm=1.6, num_negatives=4, min_distance_mm=10.0)


def write_cases(folder, *names, value=None):
    """Volumes without any aneurysm; all voxels of one value where one is given."""
    for part in ("images", "points"):
        (folder / part).mkdir()
    for name in names:
        voxels = np.random.default_rng(0).normal(100, 5, (30, 30, 20)).astype(np.float32)
        image = nib.Nifti1Image(voxels if value is None else np.full_like(voxels, value), np.eye(4))
        image.set_qform(np.eye(4), code="scanner")
        nib.save(image, folder / "images" / f"{name}.nii.gz")
        (folder / "points" / f"{name}.fcsv").write_text("# CoordinateSystem = RAS\n# columns = id,x,y,z\n")


def test_phantoms_are_prepared_by_name():
    found = annotated_angiograms.phantom(3, (24, 32, 32), PREPARATION)
    assert found.cases == ("case-000", "case-001", "case-002")
    first, again, other = (found.build(name) for name in ("case-000", "case-000", "case-001"))
    assert first["image"].shape == (24, 32, 32)
    np.testing.assert_array_equal(first["image"], again["image"])
    assert not np.array_equal(first["image"], other["image"])


@pytest.mark.parametrize("change", [{"voxel_mm": 0.8}, {"num_negatives": 2}, {"min_distance_mm": 5.0}])
def test_prepared_volumes_depend_on_how_they_are_prepared(change):
    other = annotated_angiograms.phantom(1, (24, 32, 32), replace(PREPARATION, **change))
    assert other.key != annotated_angiograms.phantom(1, (24, 32, 32), PREPARATION).key


def test_a_constant_volume_is_refused(tmp_path):
    write_cases(tmp_path, "one", "two", value=7)
    source = annotated_angiograms.files(tmp_path, PREPARATION, at_least=2)
    with pytest.raises(ReadError, match="found 7 in every voxel; wanted an angiogram"):
        source.build("one")


def test_fewer_cases_than_folds_are_refused(tmp_path):
    write_cases(tmp_path, "one", "two")
    with pytest.raises(ReadError, match="found 2 cases; wanted 3, one a fold"):
        annotated_angiograms.files(tmp_path, PREPARATION, at_least=3)
