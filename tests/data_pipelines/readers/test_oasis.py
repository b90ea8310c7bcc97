import numpy as np
import pytest

from data_pipelines.readers import oasis as reader
from data_pipelines.readers.errors import ReadError


def test_reads_ratings_and_the_middle_slice(oasis):
    young, old = reader.find_subjects(oasis)
    assert (young.name, young.has_dementia, old.has_dementia) == ("OAS1_0001_MR1", False, True)
    image = reader.read_slice(old)
    assert image.shape == (208, 176) and image.dtype == np.float32
    assert image[207 - 20, 10] == 0.5
    assert np.count_nonzero(image) == 1


def test_says_what_is_missing(oasis):
    (oasis / "oasis_cross-sectional.csv").write_text("ID,CDR\nOAS1_0001_MR1,0\n")
    with pytest.raises(ReadError, match="no rating of OAS1_0002_MR1"):
        reader.find_subjects(oasis)
    (oasis / "oasis_cross-sectional.csv").unlink()
    with pytest.raises(ReadError, match="2 images and 0 tables"):
        reader.find_subjects(oasis)
    subject = reader.Subject("x", next(oasis.rglob("*.hdr")), False)
    next(oasis.rglob("*.img")).write_bytes(b"short")
    with pytest.raises(ReadError, match="Analyze"):
        reader.read_slice(subject)
