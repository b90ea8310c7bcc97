"""Real data that are damaged, and what must never leave them."""

import logging
from dataclasses import replace

import jax
import nibabel as nib
import numpy as np
import pydicom
import pydicom.uid
import pytest

from data_pipelines.cache import BuildError
from experiments.fbpaug import application, data


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values.transpose(2, 1, 0), np.diag([-8.0, -8.0, 8.0, 1.0]))
    image.set_qform(image.affine, code="scanner")
    nib.save(image, path)


def save_series(folder, kernel, uid):
    """Slices of a patient whose name must not be told."""
    folder.mkdir(parents=True)
    for index in range(3):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{uid}.{index + 1}"
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        one = pydicom.Dataset()
        one.file_meta = meta
        one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        one.PatientName, one.PatientID, one.PatientBirthDate = "Secret^Person", "SECRET-ID", "19010203"
        one.InstitutionName, one.StudyDescription = "Secret Hospital", "Secret study"
        one.Modality, one.Manufacturer, one.ConvolutionKernel = "CT", "SIEMENS", kernel
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "1.2.3", uid, "1.2.5"
        one.ImagePositionPatient, one.ImageOrientationPatient = [0, 0, 8 * index], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [8, 8], 8
        one.SamplesPerPixel, one.PhotometricInterpretation, one.Rows, one.Columns = 1, "MONOCHROME2", 48, 48
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation, one.RescaleSlope, one.RescaleIntercept = 15, 1, 1, -1000
        one.PixelData = np.full((48, 48), 40 * index, "<i2").tobytes()
        one.save_as(folder / f"{index}.dcm", enforce_file_format=True)


@pytest.fixture
def folder(tmp_path):
    """Six labelled volumes with a value of their own each, and a pair of series."""
    for number in range(6):
        image = np.full((2, 48, 48), 100 * number, np.int16)
        save(tmp_path / f"real/images/{number}.nii.gz", image)
        save(tmp_path / f"real/masks/{number}.nii.gz", (image > 250).astype(np.uint8))
    save_series(tmp_path / "real/pairs/a", "B30f", "1.2.3.1")
    save_series(tmp_path / "real/pairs/b", "B80f", "1.2.3.2")
    return tmp_path / "real"


def open_data(config, folder, **options):
    return data.make_data(
        config, seed=0, data_dir=folder, cache_dir=folder.parent / "cache", executor="threads", **options
    )


def split_of(config, folder):
    made = open_data(config, folder)
    test = [name.removeprefix("case-") for name in made.evaluation.test]
    return test, sorted({str(number) for number in range(6)} - set(test))


@pytest.mark.faults
def test_bad_training_cases_are_left_out_of_every_batch(tiny, folder, caplog, record_fault):
    _, train = split_of(tiny, folder)
    (folder / "images" / f"{train[0]}.nii.gz").write_bytes(b"lost")
    absent = folder / "images" / f"{train[1]}.nii.gz"
    absent.unlink()
    absent.symlink_to(folder / "nowhere")
    with pytest.raises(BuildError, match=r"images/\d\.nii\.gz: found"):
        open_data(tiny, folder)
    with pytest.raises(BuildError, match="2 cases cannot be read; wanted at most 1"):
        open_data(tiny, folder, max_bad_cases=1)
    caplog.clear()
    made = open_data(tiny, folder, max_bad_cases=2)
    assert sorted(made.bad_cases) == [f"case-{name}" for name in train[:2]]
    assert "2 cases could not be read and are left out" in caplog.records[-1].message
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    batches = made.batches(0)
    seen = {int(value) for _ in range(4) for value in np.unique(next(batches)["image"])}
    batches.close()
    assert seen == {100 * int(name) for name in train[2:]}
    record_fault("8 fbpaug: two of four training volumes lost", f"left out: {sorted(made.bad_cases)}")


@pytest.mark.faults
@pytest.mark.parametrize("place", ["test case", "pair"])
def test_bad_cases_of_evaluation_are_never_left_out(tiny, folder, place, record_fault):
    test, _ = split_of(tiny, folder)
    if place == "pair":
        (folder / "pairs/a/1.dcm").unlink()
        (folder / "pairs/b/1.dcm").unlink()
        (folder / "pairs/a/2.dcm").write_bytes((folder / "pairs/a/2.dcm").read_bytes()[:-9])
    else:
        (folder / "masks" / f"{test[0]}.nii.gz").write_bytes(b"lost")
    with pytest.raises(BuildError, match="case-" if place == "test case" else "pair-") as caught:
        open_data(tiny, folder, max_bad_cases=9)
    said = str(caught.value).replace(str(folder), "...")
    record_fault(f"8 fbpaug: damaged {place}, 9 bad cases allowed", said)


def test_the_examples_of_a_batch_are_named(tiny, folder):
    made = open_data(tiny, folder)
    batches = made.batches(3)
    for step in range(3, 6):
        batch, names = next(batches), made.describe(step)
        assert len(names) == tiny.batch_size
        for image, name in zip(batch["image"], names, strict=True):
            case, word, index = name.split()
            assert (word, index in ("0", "1")) == ("slice", True)
            assert (image == 100 * int(case.removeprefix("case-"))).all()
    batches.close()


@pytest.mark.faults
def test_no_patient_data_reach_outputs_reports_or_logs(tiny, folder, tmp_path, caplog, capfd, record_fault):
    caplog.set_level(logging.DEBUG)
    report, num_problems = application.check_data(tiny, folder)
    assert num_problems == 0
    config = replace(tiny, initial_probability=0.5)
    made = open_data(config, folder)
    batch = next(made.batches(0))
    from experiments.fbpaug import algorithm

    state = algorithm.make_algorithm(config, None).init(jax.random.key(0), batch)
    application.predict(config, state, folder / "pairs/a", tmp_path / "mask.nii")
    (drawn,) = application.sample(config, None, folder / "pairs/a", tmp_path)
    written = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert written
    said = capfd.readouterr()
    told = [report, caplog.text, said.out, said.err, drawn.name, *map(str, written), repr(made)]
    contents = [path.read_bytes() for path in (tmp_path / "mask.nii", drawn, *written)]
    for content in (*map(str.encode, told), *contents):
        assert b"secret" not in content.lower()
        assert b"19010203" not in content
    record_fault(
        "DICOM: patient's name, number, birthday, hospital",
        f"in none of mask, picture, report, logs and {len(written)} files of the cache",
    )
