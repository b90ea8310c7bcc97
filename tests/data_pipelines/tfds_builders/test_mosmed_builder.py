import pathlib
import tempfile

import nibabel as nib
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipelines.readers.errors import ReadError
from data_pipelines.tfds_builders import mosmed

AFFINE = np.diag([-0.5, 0.75, 8.0, 1.0])


def write_study(folder, severity, number, image, mask=None):
    study = folder / "studies" / severity / f"study_{number:04d}.nii.gz"
    study.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(image, AFFINE), study)
    if mask is not None:
        (folder / "masks").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(mask, AFFINE), folder / "masks" / f"study_{number:04d}_mask.nii.gz")


def write_folder(folder):
    image = np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 1000
    write_study(folder, "CT-0", 1, image)
    write_study(folder, "CT-1", 255, image, (image > -990).astype(np.uint8))
    write_study(folder, "CT-4", 1110, image[:, :, :2])


class MosmedTest(tfds.testing.DatasetBuilderTestCase):
    """Checks of TensorFlow Datasets: registration, features, splits, distinct examples, serialisation."""

    DATASET_CLASS = mosmed.Mosmed
    SPLITS = {"masked": 1, "unmasked": 2}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        write_folder(pathlib.Path(cls.folder.name))
        cls.EXAMPLE_DIR = cls.folder.name
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()


def build(folder, data_dir):
    builder = mosmed.Mosmed(data_dir=data_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=folder),
    )
    return builder


def test_examples_hold_what_the_files_hold(tmp_path):
    write_folder(tmp_path / "manual")
    builder = build(tmp_path / "manual", tmp_path / "data")
    (masked,) = tfds.as_numpy(builder.as_dataset("masked"))
    # Stored x to the left, y to anterior: height is y backwards, width is x.
    array = np.arange(24).reshape(2, 3, 4) - 1000
    np.testing.assert_array_equal(masked["image"], array.transpose(2, 1, 0)[:, ::-1])
    np.testing.assert_array_equal(masked["label"], masked["image"] > -990)
    np.testing.assert_array_equal(masked["spacing_mm"], np.float32([8, 0.75, 0.5]))
    assert (masked["image"].dtype, masked["label"].dtype) == (np.int16, np.uint8)
    assert (masked["subject"], masked["severity"]) == (b"study_0255", 1)
    unmasked = {one["subject"]: one for one in tfds.as_numpy(builder.as_dataset("unmasked"))}
    assert unmasked[b"study_1110"]["image"].shape == (2, 3, 2)
    assert unmasked[b"study_1110"]["label"].shape == (0, 0, 0)
    assert builder.info.features["severity"].int2str(unmasked[b"study_1110"]["severity"]) == "CT-4"


@pytest.mark.parametrize("value", [0.5, 40000.0])
def test_values_that_16_bit_integers_cannot_hold_are_refused(tmp_path, value):
    write_study(tmp_path / "manual", "CT-0", 1, np.full((2, 3, 4), value, np.float32))
    with pytest.raises(ReadError, match=r"study_0001\.nii\.gz: found values"):
        build(tmp_path / "manual", tmp_path / "data")
