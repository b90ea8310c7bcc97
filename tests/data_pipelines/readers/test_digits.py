import numpy as np

from data_pipelines.readers.digits import read_digits


def test_digits_are_whole_or_unbalanced():
    found = read_digits()
    assert found.images.shape == (1797, 8, 8, 1)
    assert found.images.max() == 255
    assert np.bincount(read_digits(0.5).labels)[9] == 90
