import nibabel as nib
import numpy as np
import pytest

from data_pipelines.readers import aneurysms
from data_pipelines.readers.errors import ReadError

AFFINE = np.diag([-0.5, -0.5, 0.8, 1.0])
POINTS = "# CoordinateSystem = RAS\n# columns = id,x,y,z\np,-10,-10,8\np,-10,-10,12\n"


def write(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels, AFFINE)
    image.set_qform(AFFINE, code="scanner")
    nib.save(image, path)


def volume():
    return np.random.default_rng(0).normal(size=(40, 44, 30)).astype(np.float32)


def adam(folder, name, label):
    write(folder / name / "pre" / "TOF.nii.gz", volume())
    write(folder / name / "aneurysms.nii.gz", label.astype(np.uint8))


def ball(centre, radius_mm):
    offsets = [
        (np.arange(n) - c) * mm for n, c, mm in zip((40, 44, 30), centre, (0.5, 0.5, 0.8), strict=True)
    ]
    x, y, z = np.meshgrid(*offsets, indexing="ij")
    return x**2 + y**2 + z**2 <= radius_mm**2


def test_masks_become_spheres_of_equal_centre_and_volume(tmp_path):
    adam(tmp_path, "10001", ball((12, 20, 15), 3.0) + 2 * ball((30, 30, 8), 2.0))
    (case,) = aneurysms.find_cases(tmp_path)
    example, spheres = case.read_annotated()
    # Slices, rows, columns; the treated aneurysm is ignored.
    np.testing.assert_allclose(spheres, [[15, 20, 12, 3.0]], atol=0.06)
    assert set(np.unique(example.label)) == {0, 1, 2}
    assert case.subject == "10001"


def test_a_healthy_case_has_no_sphere(tmp_path):
    adam(tmp_path, "10002", np.zeros((40, 44, 30)))
    (case,) = aneurysms.find_cases(tmp_path)
    assert case.read_annotated()[1].shape == (0, 4)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_points_beside_images(tmp_path, ending):
    write(tmp_path / "images" / f"one{ending}", volume())
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "one.fcsv").write_text(POINTS)
    (case,) = aneurysms.find_cases(tmp_path)
    example, spheres = case.read_annotated()
    np.testing.assert_allclose(spheres, [[10 / 0.8, 20, 20, 2]], atol=1e-4)
    assert len(case.paths) == 2
    image, on_cubes = case.read_cubes(1.0)
    assert image.shape == (24, 22, 20)
    # The centres of both grids are one: that of the volume.
    wanted = (np.array([12.5, 20, 20]) - np.array([14.5, 21.5, 19.5])) * np.array([0.8, 0.5, 0.5])
    np.testing.assert_allclose(on_cubes[0, :3], wanted + np.array([11.5, 10.5, 9.5]), atol=1e-4)
    assert example.subject == "one"


def test_refuses_what_does_not_belong_together(tmp_path):
    with pytest.raises(ReadError, match=r"no images/ and no \*/pre/TOF.nii.gz"):
        aneurysms.find_cases(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "points").mkdir()
    with pytest.raises(ReadError, match="no volume"):
        aneurysms.find_cases(tmp_path)
    write(tmp_path / "images" / "one.nii.gz", volume())
    with pytest.raises(ReadError, match=r"no points/one\.fcsv or \.mrk\.json"):
        aneurysms.find_cases(tmp_path)
    for name in ("one.fcsv", "two.fcsv"):
        (tmp_path / "points" / name).write_text(POINTS)
    with pytest.raises(ReadError, match="points without their volume"):
        aneurysms.find_cases(tmp_path)
    (tmp_path / "points" / "one.mrk.json").write_text("{}")
    with pytest.raises(ReadError, match="a second annotation"):
        aneurysms.find_cases(tmp_path)


def test_a_mask_is_wanted(tmp_path):
    write(tmp_path / "10001" / "pre" / "TOF.nii.gz", volume())
    with pytest.raises(ReadError, match=r"no aneurysms\.nii\.gz"):
        aneurysms.find_cases(tmp_path)
