import numpy as np
import pytest

from data_pipelines import orientation
from data_pipelines.example import Example
from data_pipelines.readers import two_point_spheres
from data_pipelines.readers.errors import ReadError
from data_pipelines.two_point_spheres import pair_points

HEAD = "# CoordinateSystem = {}\n# columns = id,x,y,z,label\n"
LPS_AFFINE = np.diag([-0.5, -0.5, 0.8, 1.0]) + np.pad([[20.0], [30.0], [-10.0], [0.0]], [(0, 0), (3, 0)])


def example():
    """A scan of 60 x 50 x 40 columns, rows and slices with its corner at (20, 30, -10) mm RAS."""
    volume, affine = orientation.to_canonical(np.zeros((60, 50, 40), np.float32), LPS_AFFINE)
    return Example("scan", volume, spacing_mm=(0.8, 0.5, 0.5), affine=affine)


def write(tmp_path, points, system="RAS"):
    lines = [f"p,{x},{y},{z},F\n" for x, y, z in points]
    (tmp_path / "scan.fcsv").write_text(HEAD.format(system) + "".join(lines))
    return tmp_path / "scan.fcsv"


def test_pair_is_a_diameter():
    spheres = pair_points(np.array([[0, 0, 0], [0, 3, 4], [1, 1, 1], [3, 1, 1]], float))
    np.testing.assert_allclose(spheres, [[0, 1.5, 2, 2.5], [2, 1, 1, 1]])


def test_voxels_of_the_volume(tmp_path):
    """Column 10, row 20 and slice 30 of the file is voxel (30, 20, 10): columns run left, rows back."""
    middle = np.array([20 - 0.5 * 10, 30 - 0.5 * 20, -10 + 0.8 * 30])
    path = write(tmp_path, [middle - np.array([0, 0, 2]), middle + np.array([0, 0, 2])])
    found = two_point_spheres.read_spheres(path, example())
    np.testing.assert_allclose(found, [[30, 20, 10, 2]], atol=1e-5)


def test_lps_and_ras_name_the_same_place(tmp_path):
    ras = np.array([[15.0, 20.0, 10.0], [15.0, 22.0, 10.0]])
    one = two_point_spheres.read_spheres(write(tmp_path, ras), example())
    other = two_point_spheres.read_spheres(write(tmp_path, ras * [-1, -1, 1], "LPS"), example())
    np.testing.assert_array_equal(one, other)


def test_no_lesion(tmp_path):
    assert two_point_spheres.read_spheres(write(tmp_path, []), example()).shape == (0, 4)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(15, 20, 10), (15, 20, 10)], "two equal points for sphere 1; wanted its neck and its dome"),
        ([(15, 20, 10)], "1 points; wanted two for each sphere"),
        ([(15, 20, 10), (15, 20, 80)], "point 2 at (15.0, 20.0, 80.0) mm RAS outside scan"),
        ([(21, 20, 10), (15, 20, 10)], "point 1 at (21.0, 20.0, 10.0) mm RAS outside scan"),
    ],
)
def test_refuses_in_one_line(tmp_path, points, message):
    with pytest.raises(ReadError) as caught:
        two_point_spheres.read_spheres(write(tmp_path, points), example())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
