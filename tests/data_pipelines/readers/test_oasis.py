import numpy as np
import pytest
from nibabel import spm2analyze

from data_pipelines.readers import oasis
from data_pipelines.readers.errors import ReadError


@pytest.fixture
def root(tmp_path):
    """Two subjects in the layout of the release; voxels hold the distance from the corner."""
    for number in (1, 2):
        name = f"OAS1_000{number}_MR1"
        folder = tmp_path / "disc1" / name / "PROCESSED" / "MPRAGE" / "T88_111"
        folder.mkdir(parents=True)
        volume = np.zeros((176, 208, 176, 1), np.int16)
        volume[10, 20, 88] = 1000 * number
        volume[0, 0, 0] = 4000
        image = spm2analyze.Spm2AnalyzeImage(volume, np.eye(4))
        image.to_filename(str(folder / f"{name}_mpr_n4_anon_111_t88_masked_gfc.img"))
    table = "ID,M/F,Age,CDR\nOAS1_0001_MR1,F,20,\nOAS1_0002_MR1,M,80,0.5\n"
    (tmp_path / "oasis_cross-sectional.csv").write_text(table)
    return tmp_path


def test_reads_ratings_and_the_middle_slice(root):
    young, old = oasis.find_subjects(root)
    assert (young.name, young.has_dementia, old.has_dementia) == ("OAS1_0001_MR1", False, True)
    image = oasis.read_slice(old)
    assert image.shape == (208, 176) and image.dtype == np.float32
    assert image[207 - 20, 10] == 0.5
    assert np.count_nonzero(image) == 1


def test_says_what_is_missing(root, tmp_path):
    (root / "oasis_cross-sectional.csv").write_text("ID,CDR\nOAS1_0001_MR1,0\n")
    with pytest.raises(ReadError, match="no rating of OAS1_0002_MR1"):
        oasis.find_subjects(root)
    (root / "oasis_cross-sectional.csv").unlink()
    with pytest.raises(ReadError, match="2 images and 0 tables"):
        oasis.find_subjects(root)
    subject = oasis.Subject("x", next(root.rglob("*.hdr")), False)
    next(root.rglob("*.img")).write_bytes(b"short")
    with pytest.raises(ReadError, match="Analyze"):
        oasis.read_slice(subject)
