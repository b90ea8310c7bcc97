import json

import numpy as np
import pytest

from data_pipelines.readers import slicer_points
from data_pipelines.readers.errors import ReadError

COLUMNS = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
FCSV = "# Markups fiducial file version = 4.11\n# CoordinateSystem = {}\n" + COLUMNS
LINE = "vtkMRMLMarkupsFiducialNode_0,{},0,0,0,1,1,1,0,{},,vtkMRMLScalarVolumeNode1\n"


def fcsv(system="LPS", points=((1.5, -2, 3),)):
    lines = [LINE.format(",".join(map(str, point)), f"F-{i}") for i, point in enumerate(points, 1)]
    return FCSV.format(system) + "".join(lines)


def markup(points=((1.5, -2, 3),), **changes):
    made = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "controlPoints": [
            {"id": str(i), "label": f"F-{i}", "position": list(point), "positionStatus": "defined"}
            for i, point in enumerate(points, 1)
        ],
    }
    return made | changes


def document(*markups):
    return json.dumps({"@schema": "markups-schema-v1.0.0.json#", "markups": list(markups)})


def read(tmp_path, text, name="case.fcsv"):
    (tmp_path / name).write_text(text)
    return slicer_points.read_points(tmp_path / name)


@pytest.mark.parametrize(("system", "signs"), [("LPS", -1), ("1", -1), ("RAS", 1), ("0", 1)])
def test_fcsv_comes_out_in_ras(tmp_path, system, signs):
    found = read(tmp_path, fcsv(system, [(1.5, -2, 3), (4, 5, 6)]))
    np.testing.assert_array_equal(found.ras_mm, [[signs * 1.5, -2 * signs, 3], [signs * 4, signs * 5, 6]])
    assert found.labels == ("F-1", "F-2")


def test_columns_may_stand_in_another_order_and_labels_hold_commas(tmp_path):
    text = '# CoordinateSystem = RAS\n# columns = label,z,y,x\n"neck, left",3,2,1\n'
    found = read(tmp_path, text)
    assert found.labels == ("neck, left",)
    np.testing.assert_array_equal(found.ras_mm, [[1, 2, 3]])


@pytest.mark.parametrize(("system", "signs"), [("LPS", -1), ("RAS", 1)])
def test_json_comes_out_in_ras(tmp_path, system, signs):
    text = document(
        markup(coordinateSystem=system), markup([(4, 5, 6), (7, 8, 9)], type="Line", coordinateSystem=system)
    )
    found = read(tmp_path, text, "case.mrk.json")
    assert found.ras_mm.shape == (3, 3)
    np.testing.assert_array_equal(found.ras_mm[0], [signs * 1.5, -2 * signs, 3])
    np.testing.assert_array_equal(found.ras_mm[2], [signs * 7, signs * 8, 9])


def test_both_formats_say_the_same(tmp_path):
    one, other = read(tmp_path, fcsv()), read(tmp_path, document(markup()), "case.mrk.json")
    np.testing.assert_array_equal(one.ras_mm, other.ras_mm)
    assert one.labels == other.labels


@pytest.mark.parametrize("name", ["case.fcsv", "case.mrk.json"])
def test_no_point_is_fine(tmp_path, name):
    text = FCSV.format("LPS") if name.endswith("fcsv") else document(markup([]))
    assert read(tmp_path, text, name).ras_mm.shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("case.txt", "", "wanted one ending in .fcsv or .mrk.json"),
        ("case.fcsv", "", "coordinate system None"),
        ("case.fcsv", fcsv("IJK"), "coordinate system 'IJK'"),
        ("case.fcsv", fcsv().replace(COLUMNS, ""), "no line '# columns"),
        ("case.fcsv", fcsv(points=[(1, 2, "three")]), "line 4 with position"),
        ("case.fcsv", fcsv(points=[(1, 2, "nan")]), "wanted three finite numbers"),
        ("case.fcsv", FCSV.format("LPS") + "point,1\n", "line 4 with position"),
        ("case.mrk.json", "{", "no markups"),
        ("case.mrk.json", "[]", "no markups"),
        ("case.mrk.json", document({"type": "Fiducial"}), "coordinate system None"),
        ("case.mrk.json", document(markup(coordinateSystem=3)), "coordinate system 3"),
        ("case.mrk.json", document(markup(coordinateUnits="cm")), "coordinates in 'cm'"),
        ("case.mrk.json", document(markup(type="ROI")), "a markup of type 'ROI'"),
        ("case.mrk.json", document(markup([(1, 2)])), "point 1 with position"),
        (
            "case.mrk.json",
            document(markup(controlPoints=[{"position": [0, 0, 0], "positionStatus": "undefined"}])),
            "point 1 that is undefined",
        ),
    ],
)
def test_refuses_in_one_line(tmp_path, name, text, message):
    with pytest.raises(ReadError) as caught:
        read(tmp_path, text, name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refuses_what_is_not_there_or_not_text(tmp_path):
    with pytest.raises(ReadError, match="No such file"):
        slicer_points.read_points(tmp_path / "none.fcsv")
    (tmp_path / "case.fcsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReadError, match="not UTF-8"):
        slicer_points.read_points(tmp_path / "case.fcsv")
