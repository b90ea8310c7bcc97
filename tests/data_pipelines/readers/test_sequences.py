"""The published layouts of four data sets, and what is said of what is wrong in them."""

import dataclasses

import nibabel as nib
import numpy as np
import pytest

from data_pipelines.imaging_sets import SETS, find_cases
from data_pipelines.readers import sequences
from data_pipelines.readers.errors import ReadError

SHAPE = (16, 16, 6)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def write_sets(root, num_cases=3):
    rng = np.random.default_rng(0)

    def image(*shape):
        return rng.uniform(1, 100, shape).astype(np.float32)

    def label(values, *shape):
        return rng.choice(np.array(values, np.uint8), shape)

    for number in range(num_cases):
        name = f"training_axial_full_pat{number}"
        write(root / "hvsmr" / f"{name}.nii.gz", image(*SHAPE))
        write(root / "hvsmr" / f"{name}-label.nii.gz", label([0, 1, 2], *SHAPE))
        mnms = root / "mnms" / "Labeled" / f"A{number}"
        write(mnms / f"A{number}_sa.nii.gz", image(*SHAPE, 3))
        write(mnms / f"A{number}_sa_gt.nii.gz", label([0, 1, 2, 3], *SHAPE, 3))
        wmh = root / "wmh" / "Utrecht" / str(number)
        for sequence in ("T1", "FLAIR"):
            write(wmh / "pre" / f"{sequence}.nii.gz", image(*SHAPE))
        write(wmh / "wmh.nii.gz", label([0, 1, 2], *SHAPE))
        brats = root / "brats" / "HGG" / f"B{number}"
        for sequence in ("t1", "flair", "t1ce", "t2"):
            write(brats / f"B{number}_{sequence}.nii.gz", image(*SHAPE))
        write(brats / f"B{number}_seg.nii.gz", label([0, 1, 2, 4], *SHAPE))
    rows = "".join(f"A{number},1\n" for number in range(num_cases))
    (root / "mnms" / "table.csv").write_text("External code,ED\n" + rows)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    write_sets(root)
    return root


@pytest.mark.parametrize("name", SETS)
def test_published_layouts_are_read(name, published):
    cases = find_cases(name, published)
    assert len(cases) == 3
    example = cases[0].read()
    assert example.image.shape == (*SHAPE[::-1], len(SETS[name].sequences))
    assert set(np.unique(example.label)) == set(range(1 + len(SETS[name].classes)))


def test_the_end_diastolic_frame_is_taken(published):
    case = find_cases("mnms", published)[0]
    assert case.frame == 1
    stored = nib.load(case.image_paths[0]).get_fdata()[..., 1]
    assert sorted(case.read().image.ravel()) == pytest.approx(sorted(stored.ravel()))
    with pytest.raises(ReadError, match="3 volumes"):
        dataclasses.replace(case, frame=3).read()


def test_what_is_wrong_with_a_set_is_said(tmp_path):
    write_sets(tmp_path, num_cases=1)
    write(tmp_path / "brats" / "HGG" / "B0" / "B0_seg.nii.gz", np.full(SHAPE, 3, np.uint8))
    with pytest.raises(ReadError, match=r"B0_seg.nii.gz: found label 3; wanted labels 0, 1, 2, 4"):
        find_cases("brats", tmp_path)[0].read()
    flair = tmp_path / "wmh" / "Utrecht" / "0" / "pre" / "FLAIR.nii.gz"
    write(flair, np.ones((16, 16, 5), np.float32))
    with pytest.raises(ReadError, match=r"FLAIR.nii.gz: found shape"):
        find_cases("wmh", tmp_path)[0].read()
    flair.unlink()
    with pytest.raises(ReadError, match=r"FLAIR.nii.gz: found no file"):
        find_cases("wmh", tmp_path)
    with pytest.raises(ReadError, match="found no folder"):
        find_cases("hvsmr", tmp_path / "nowhere")
    (tmp_path / "mnms" / "table.csv").write_text("External code,ED\n")
    with pytest.raises(ReadError, match="no end-diastolic frame of A0"):
        find_cases("mnms", tmp_path)


def test_a_subject_without_labels_is_read_from_one_file_or_a_folder(published):
    folder = published / "wmh" / "Utrecht" / "0" / "pre"
    found = sequences.read_sequences(folder, ("T1", "FLAIR"))
    assert found.image.shape == (*SHAPE[::-1], 2)
    one = sequences.read_sequences(folder / "FLAIR.nii.gz", ("FLAIR",))
    np.testing.assert_array_equal(one.image[..., 0], found.image[..., 1])
    with pytest.raises(ReadError, match=r"found no folder; wanted one with T1.nii.gz, FLAIR.nii.gz"):
        sequences.read_sequences(folder / "T1.nii.gz", ("T1", "FLAIR"))
