import shutil
import traceback
import warnings

import nibabel as nib
import numpy as np
import pydicom
import pydicom.uid
import pytest

from data_pipelines import orientation
from data_pipelines.readers import dicom, nifti
from data_pipelines.readers.errors import ReadError

VOLUME = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def test_axial_series_by_hand(tmp_path, write_series):
    write_series(tmp_path, VOLUME)
    example = dicom.read_series(tmp_path)
    # Axial slices with rows to the left and columns to posterior are in canonical order already.
    np.testing.assert_array_equal(example.image, VOLUME - 1024)
    assert example.image.dtype == np.float32
    assert example.spacing_mm == (2.0, 0.75, 0.5)
    # LPS position (-10, -20, 30) is RAS (10, 20, 30).
    np.testing.assert_array_equal(
        example.affine, [[0, 0, -0.5, 10], [0, -0.75, 0, 20], [2, 0, 0, 30], [0, 0, 0, 1]]
    )
    assert example.source_shape == (5, 4, 3)
    assert orientation.axis_codes(example.source_affine) == "LPS"


@pytest.mark.parametrize("reverse", [False, True])
def test_oblique_series_keeps_the_world_coordinates_of_the_standard(tmp_path, write_slice, reverse):
    axes = nib.quaternions.angle_axis2mat(0.4, [3, 1, 2], is_normalized=False)[:, [2, 0, 1]]
    row_direction, column_direction, normal = axes.T
    positions = np.array([5, -6, 7]) + 1.5 * np.arange(3)[:, None] * (-normal if reverse else normal)
    paths = [
        write_slice(
            tmp_path / f"{index}.dcm",
            VOLUME[index],
            np.round(positions[index], 6),
            ImageOrientationPatient=[f"{value:.12f}" for value in (*row_direction, *column_direction)],
        )
        for index in (1, 0, 2)
    ]
    example = dicom.read_series(paths)
    for (k, j, i), value in np.ndenumerate(VOLUME):
        # PS3.3 C.7.6.2.1.1: columns i advance along the row direction, rows j along the column direction.
        lps = positions[k] + 0.5 * i * row_direction + 0.75 * j * column_direction
        (index,) = np.argwhere(example.image == value - 1024)
        ras = example.affine[:3, :3] @ index + example.affine[:3, 3]
        np.testing.assert_allclose(ras, lps * [-1, -1, 1], atol=1e-5)


@pytest.mark.faults
def test_order_comes_from_positions_and_rescaling_from_each_slice(tmp_path, write_slice, record_fault):
    for name, number, index in (("a", 7, 2), ("b", 9, 0), ("c", 8, 1)):
        write_slice(
            tmp_path / f"{name}.dcm",
            VOLUME[index],
            (0, 0, 2 * index),
            InstanceNumber=number,
            RescaleSlope=index + 1,
            RescaleIntercept=-10 * index,
        )
    example = dicom.read_series(tmp_path)
    expected = VOLUME * np.array([1, 2, 3])[:, None, None] - np.array([0, 10, 20])[:, None, None]
    np.testing.assert_array_equal(example.image, expected)
    record_fault(
        "DICOM: shuffled instance numbers, other slope per slice", "sorted by position, each rescaled"
    )


def test_magnetic_resonance_needs_no_rescaling(tmp_path, write_series):
    elements = {"sop_class": pydicom.uid.MRImageStorage, "Modality": "MR"}
    write_series(tmp_path, VOLUME, RescaleSlope=None, RescaleIntercept=None, **elements)
    np.testing.assert_array_equal(dicom.read_series(tmp_path).image, VOLUME)


def test_run_length_encoded_slices(tmp_path, write_series):
    for path in write_series(tmp_path, VOLUME):
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    np.testing.assert_array_equal(dicom.read_series(tmp_path).image, VOLUME - 1024)


def change(path, **elements):
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def cut(path, length):
    path.write_bytes(path.read_bytes()[:length])


def break_run_length_code(path):
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.PixelData = dataset.PixelData[:-6]
    dataset.save_as(path)


def tilt(paths):
    cosine, sine = np.cos(0.2), np.sin(0.2)
    for path in paths:
        change(path, ImageOrientationPatient=[1, 0, 0, 0, round(cosine, 9), round(sine, 9)])


def deflate(path):
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)


def bad(edit_first, message):
    """A fault in the file that lies in the middle of the stack."""
    return lambda paths: edit_first(paths[2]), message


BAD = {
    "missing slice": (lambda paths: paths[2].unlink(), r"gap of 4 mm to the next slice \(1 missing\)"),
    "duplicate slice": bad(
        lambda path: shutil.copy(path, path.with_name("copy.dcm")), "position of .* again"
    ),
    "mixed spacing": bad(
        lambda path: change(path, ImagePositionPatient=[-10, -20, 34.5]), r"gap of .* \(mixed spacing\)"
    ),
    "mixed pixel spacing": bad(lambda path: change(path, PixelSpacing=[0.75, 0.6]), "another PixelSpacing"),
    "mixed orientation": bad(
        lambda path: change(path, ImageOrientationPatient=[1, 0, 0, 0, 0.8, 0.6]),
        "another ImageOrientationPatient",
    ),
    "mixed size": bad(
        lambda path: change(path, Rows=5, Columns=4), "another Rows and Columns than in 005.dcm"
    ),
    "mixed frames of reference": bad(
        lambda path: change(path, FrameOfReferenceUID="1.9"), "FrameOfReference"
    ),
    "mixed modality": bad(lambda path: change(path, Modality="MR"), "another Modality"),
    "two series": bad(lambda path: change(path, SeriesInstanceUID="1.9"), "2 CT, MR or PT series"),
    "gantry tilt": (tilt, r"sideways by up to .* \(gantry tilt\)"),
    "single slice": (lambda paths: [path.unlink() for path in paths[1:]], "a single slice"),
    "no slice": (lambda paths: [path.unlink() for path in paths], "0 CT, MR or PT series"),
    "file cut in the pixels": bad(
        lambda path: cut(path, -15), r"25 bytes of pixels \(truncated\); wanted 40"
    ),
    "half of the pixels": bad(lambda path: change(path, PixelData=bytes(20)), "20 bytes of pixels"),
    "too many pixels": bad(
        lambda path: change(path, PixelData=bytes(60)), r"60 bytes of pixels \(too long\)"
    ),
    "no pixels": bad(lambda path: change(path, PixelData=None), "no pixel data"),
    "file cut in the header": bad(lambda path: cut(path, 700), "no .*header cut off"),
    "file cut in the preamble's elements": bad(lambda path: cut(path, 150), "damaged DICOM file meta"),
    "broken run length code": bad(break_run_length_code, "cannot be decoded"),
    "deflated": bad(deflate, "deflated"),
    "no slope": bad(lambda path: change(path, RescaleSlope=None), "no RescaleSlope"),
    "no rescaling of CT": bad(
        lambda path: change(path, RescaleSlope=None, RescaleIntercept=None), "no RescaleSlope"
    ),
    "slope 0": bad(lambda path: change(path, RescaleSlope=0), "RescaleSlope 0"),
    "slope NaN": bad(lambda path: change(path, RescaleSlope="nan"), "malformed RescaleSlope"),
    "slope beyond float32": bad(lambda path: change(path, RescaleSlope="1e300"), "beyond float32"),
    "several frames": bad(lambda path: change(path, NumberOfFrames=2), "several frames"),
    "inverted grey": bad(lambda path: change(path, PhotometricInterpretation="MONOCHROME1"), "inverted grey"),
    "colour": bad(lambda path: change(path, SamplesPerPixel=3), "colour"),
    "twelve bits allocated": bad(lambda path: change(path, BitsAllocated=12), "malformed BitsAllocated"),
    "no position": bad(lambda path: change(path, ImagePositionPatient=None), "no ImagePositionPatient"),
    "two coordinates": bad(lambda path: change(path, ImagePositionPatient=[1, 2]), "malformed ImagePosition"),
    "no pixel spacing": bad(lambda path: change(path, PixelSpacing=None), "no PixelSpacing"),
    "zero pixel spacing": bad(lambda path: change(path, PixelSpacing=[0, 1]), "PixelSpacing .* not positive"),
    "huge pixel spacing": (
        lambda paths: [change(path, PixelSpacing=["1e20", "1e20"]) for path in paths],
        "voxels beyond any scanner",
    ),
    "no size": bad(lambda path: change(path, Rows=None), "Rows or Columns"),
    "skewed orientation": bad(
        lambda path: change(path, ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0]), "orthogonal unit vectors"
    ),
    "damaged SOP class in the file meta": bad(
        lambda path: change_class(path, pydicom.uid.EncapsulatedPDFStorage, of_data_set=False),
        "two different SOP classes",
    ),
    "damaged SOP class in the data set": bad(
        lambda path: change(path, SOPClassUID="1.2"), "two different SOP"
    ),
    "no SOP class in the data set": bad(lambda path: change(path, SOPClassUID=None), "two different SOP"),
    "enhanced image": bad(
        lambda path: change_class(path, pydicom.uid.EnhancedCTImageStorage), "enhanced .multi-frame. image"
    ),
    "look-up table": bad(
        lambda path: change(path, ModalityLUTSequence=[pydicom.Dataset()]), "modality look-up table"
    ),
}


def change_class(path, sop_class, of_data_set=True):
    dataset = pydicom.dcmread(path)
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    if of_data_set:
        dataset.SOPClassUID = sop_class
    dataset.save_as(path)


@pytest.mark.faults
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(("damage", "message"), BAD.values(), ids=BAD.keys())
def test_bad_series_are_refused_without_a_word_about_the_patient(
    tmp_path, write_series, caplog, damage, message, record_fault, request
):
    paths = write_series(tmp_path, np.arange(100, dtype=np.int16).reshape(5, 4, 5))
    damage(paths)
    caplog.clear()
    with pytest.raises(ReadError, match=message) as caught:
        dicom.read_series(tmp_path)
    assert "; wanted " in str(caught.value)
    assert "\n" not in str(caught.value)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "secret" not in told.lower()
    assert "19010203" not in told
    record_fault(f"DICOM: {request.node.callspec.id}", f"found {caught.value.found}; no patient data told")


def test_any_truncation_of_the_last_slice_is_refused(tmp_path, write_series, rewrite):
    last = write_series(tmp_path, VOLUME)[2]
    content = last.read_bytes()
    for length in range(0, len(content), 5):
        rewrite(last, content[:length])
        with pytest.raises(ReadError) as caught:
            dicom.read_series(tmp_path)
        assert caught.value.file == last


def test_any_flipped_byte_is_refused_or_read_without_a_word_about_the_patient(
    tmp_path, write_series, rewrite
):
    last = write_series(tmp_path, VOLUME)[2]
    content = last.read_bytes()
    outcomes = set()
    for index in range(0, len(content), 3):
        rewrite(last, content[:index] + bytes([content[index] ^ 0xFF]) + content[index + 1 :])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                dicom.read_series(tmp_path)
                outcomes.add("read")
            except ReadError as error:
                outcomes.add("refused")
                assert "secret" not in str(error).lower()
        assert not [warning for warning in caught if "secret" in str(warning.message).lower()]
    assert outcomes == {"read", "refused"}


def test_list_of_files_must_be_slices_of_one_series(tmp_path, write_series):
    first = write_series(tmp_path / "a", VOLUME)
    second = write_series(tmp_path / "b", VOLUME, SeriesInstanceUID="1.2.9")
    text = tmp_path / "notes.txt"
    text.write_text("no DICOM")
    for files, message in (
        ([*first[:2], second[2]], "another SeriesInstanceUID"),
        ([*first, text], "no CT, MR or PT image"),
        ([*first, tmp_path / "c.dcm"], "no file"),
    ):
        with pytest.raises(ReadError, match=message):
            dicom.read_series(files)
    with pytest.raises(ValueError, match="found no files"):
        dicom.read_series([])
    with pytest.raises(ReadError, match="no folder"):
        dicom.find_series(tmp_path / "nowhere")


@pytest.mark.faults
def test_no_patient_data_leaves_the_reader(tmp_path, write_series, record_fault):
    write_series(tmp_path, VOLUME)
    example = dicom.read_series(tmp_path)
    (series,) = dicom.find_series(tmp_path)
    for text in (repr(example), repr(series)):
        assert "secret" not in text.lower()
        assert series.series_uid not in text
    # The first 12 digits of SHA-256 of "1.2.3.4", as sha256sum gives them.
    assert example.subject == "series-6694f83c9f47"
    record_fault("DICOM: patient's name in the header", f"the case is called {example.subject}")


def test_find_series_groups_sorts_and_passes_over_other_objects(tmp_path, write_series, write_slice):
    write_series(tmp_path / "one", VOLUME, SeriesInstanceUID="1.2.1", ConvolutionKernel=["Br40d", "3"])
    write_series(tmp_path / "two" / "deep", VOLUME, SeriesInstanceUID="1.2.2", FrameOfReferenceUID=None)
    write_slice(
        tmp_path / "shot.dcm", VOLUME[0], (0, 0, 0), sop_class=pydicom.uid.SecondaryCaptureImageStorage
    )
    (tmp_path / "LICENSE.txt").write_text("no DICOM")
    one, two = dicom.find_series(tmp_path)
    assert (one.series_uid, one.study_uid, one.kernel) == ("1.2.1", "1.2.3", "Br40d\\3")
    assert [path.name for path in one.files] == ["003.dcm", "002.dcm", "001.dcm"]
    assert (two.frame_of_reference_uid, two.manufacturer) == ("", "SIEMENS")
    assert one.subject != two.subject


def test_mask_of_a_series_is_written_on_its_grid(tmp_path, write_series):
    write_series(tmp_path / "series", VOLUME)
    example = dicom.read_series(tmp_path / "series")
    nifti.write_mask(tmp_path / "mask.nii.gz", example.image > -1000, example)
    written = nib.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), (VOLUME > 24).transpose())
    np.testing.assert_allclose(
        written.affine, [[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 2, 30], [0, 0, 0, 1]]
    )


def test_positions_rounded_to_hundredths_are_regular(tmp_path, write_slice):
    for index in range(6):
        write_slice(tmp_path / f"{index}.dcm", VOLUME[0], (0.01 * (index % 2), 0, round(0.625 * index, 2)))
    assert dicom.read_series(tmp_path).spacing_mm[0] == pytest.approx(0.625, abs=0.003)


@pytest.mark.parametrize(
    ("folder", "spacing", "lowest_z"),
    [
        ("ct_chest_cip", (0.625, 0.703125, 0.703125), -286.75),
        ("ct_liver_dcmqi", (1, 0.810547, 0.810547), -128.69),
    ],
)
def test_real_series(real_data, folder, spacing, lowest_z):
    example = dicom.read_series(real_data / folder)
    assert example.spacing_mm == pytest.approx(spacing, rel=1e-6)
    assert example.affine[2, 3] == pytest.approx(lowest_z, abs=1e-4)
    paths = sorted((real_data / folder).glob("[0s]*.dcm"))
    by_height = sorted((pydicom.dcmread(path) for path in paths), key=lambda one: one.ImagePositionPatient[2])
    np.testing.assert_array_equal(example.image, [one.pixel_array - 1024.0 for one in by_height])
