import numpy as np
import pytest

from data_pipelines.readers import paired_kernels
from data_pipelines.readers.errors import ReadError

NOISE = np.random.default_rng(0).normal(size=(3, 16, 16))


def volume(deviation):
    return np.round(1024 + deviation * NOISE).astype(np.int16)


@pytest.fixture
def write_reconstruction(tmp_path, write_series):
    """Writes a series of a study; its number is its series identifier."""

    def write(number, kernel, deviation=10.0, pixels=None, **elements):
        pixels = volume(deviation) if pixels is None else pixels
        uid = f"1.2.3.{number}"
        return write_series(
            tmp_path / str(number), pixels, SeriesInstanceUID=uid, ConvolutionKernel=kernel, **elements
        )

    return write


def names(pair):
    return pair.smooth_files[0].parent.name, pair.sharp_files[0].parent.name


def test_names_decide(tmp_path, write_reconstruction):
    # Named against their noise, to see that the names decide.
    write_reconstruction(1, "B70f", 1.0)
    write_reconstruction(2, "B30f", 50.0)
    (pair,) = paired_kernels.find_pairs(tmp_path)
    assert names(pair) == ("2", "1")
    assert pair.rule == "kernel names: B30f is smooth, B70f is sharp"
    smooth, sharp = pair.read()
    np.testing.assert_array_equal(smooth.image, volume(50.0) - 1024)
    np.testing.assert_array_equal(sharp.image, volume(1.0) - 1024)
    assert smooth.subject == sharp.subject == pair.subject
    assert pair.subject.startswith("pair-")


def test_furthest_of_several_kernels_makes_one_pair(tmp_path, write_reconstruction):
    for number, kernel in enumerate(["B45f", "B80f", "B20f", "B50f"]):
        write_reconstruction(number, kernel)
    (pair,) = paired_kernels.find_pairs(tmp_path)
    assert names(pair) == ("2", "1")


@pytest.mark.parametrize("known", ["B30f", "unknown"])
def test_noise_decides_where_a_name_is_unknown(tmp_path, write_reconstruction, known):
    write_reconstruction(1, "experimental", 40.0)
    write_reconstruction(2, known, 10.0)
    (pair,) = paired_kernels.find_pairs(tmp_path)
    assert names(pair) == ("2", "1")
    assert pair.rule.startswith(f"noise of the middle slice: {known} ")
    assert "experimental" in pair.rule


def test_like_noise_decides_nothing(tmp_path, write_reconstruction):
    write_reconstruction(1, "one", 10.0)
    write_reconstruction(2, "other", 13.0)
    assert paired_kernels.find_pairs(tmp_path) == []


@pytest.mark.parametrize(
    "difference",
    [
        {"kernel": "B30f"},
        {"kernel": "B45f"},
        {"StudyInstanceUID": "1.2.9"},
        {"FrameOfReferenceUID": "1.2.9"},
        {"PixelSpacing": [0.75, 0.6]},
        {"SliceThickness": 3},
        {"pixels": volume(10.0)[:2]},
        {"pixels": volume(10.0)[:, :8]},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_series_that_differ_in_more_than_smooth_and_sharp_are_no_pair(
    tmp_path, write_reconstruction, difference
):
    write_reconstruction(1, "B30f")
    write_reconstruction(2, **({"kernel": "B70f"} | difference))
    assert paired_kernels.find_pairs(tmp_path) == []


def test_two_studies_make_two_pairs(tmp_path, write_reconstruction):
    for study in (1, 2):
        for number, kernel in enumerate(["B30f", "B70f"]):
            write_reconstruction(10 * study + number, kernel, StudyInstanceUID=f"1.2.{study}")
    pairs = paired_kernels.find_pairs(tmp_path)
    assert [names(pair) for pair in pairs] == [("10", "11"), ("20", "21")]
    assert len({pair.subject for pair in pairs}) == 2


def test_plain_folders(tmp_path, write_nifti):
    for name in ("b", "a"):
        write_nifti(tmp_path / "smooth" / f"{name}.nii.gz", np.zeros((2, 3, 4), np.int16))
        write_nifti(tmp_path / "sharp" / f"{name}.nii.gz", np.ones((2, 3, 4), np.int16))
    pairs = paired_kernels.find_pairs(tmp_path)
    assert [pair.subject for pair in pairs] == ["a", "b"]
    assert {pair.rule for pair in pairs} == {"folder names"}
    smooth, sharp = pairs[0].read()
    assert (smooth.image.max(), sharp.image.min()) == (0, 1)


def test_plain_volumes_need_partners_on_the_same_grid(tmp_path, write_nifti):
    array = np.zeros((2, 3, 4), np.int16)
    write_nifti(tmp_path / "smooth" / "a.nii", array)
    (tmp_path / "sharp").mkdir()
    with pytest.raises(ReadError, match=r"a.nii: found no partner; wanted a file a.nii in both"):
        paired_kernels.find_pairs(tmp_path)
    write_nifti(tmp_path / "sharp" / "a.nii", array, np.diag([2.0, 1, 1, 1]))
    with pytest.raises(ReadError, match="an affine 1 from the smooth volume's"):
        paired_kernels.find_pairs(tmp_path)[0].read()
    write_nifti(tmp_path / "sharp" / "a.nii", array[:1])
    with pytest.raises(ReadError, match="shape"):
        paired_kernels.find_pairs(tmp_path)[0].read()
