import numpy as np
import pytest
from PIL import Image

from data_pipelines import standardised_volumes
from data_pipelines.example import Example
from data_pipelines.readers import nifti
from data_pipelines.readers.errors import ReadError

COUNTS = {"num_rest": 2, "num_test": 1}
GRID = {"shape": (8, 10, 12), "test_shape": (6, 8, 8)}


@pytest.mark.parametrize(("dataset", "unit"), [("mitochondria", (1, 1, 1)), ("cardiac", (20, 15, 15))])
def test_phantoms_are_standardised_and_test_volumes_have_their_shape(dataset, unit):
    spacing = (60.0, 60.0, 60.0) if dataset == "mitochondria" else (20.0, 15.0, 15.0)
    found = standardised_volumes.phantom(dataset, **COUNTS, **GRID, spacing=spacing)
    assert (found.rest, found.test) == (("rest-00", "rest-01"), ("test-00",))
    volumes = {name: found.build(name) for name in found.rest + found.test}
    assert volumes["rest-00"]["image"].shape == volumes["rest-00"]["label"].shape == (8, 10, 12)
    assert volumes["test-00"]["image"].shape == (6, 8, 8)
    for one in volumes.values():
        assert one["image"].dtype == np.float32
        np.testing.assert_allclose([one["image"].mean(), one["image"].std()], [0, 1], atol=1e-4)
        assert set(np.unique(one["label"])) == {0, 1}
        np.testing.assert_array_equal(one["spacing"], unit)
    assert not np.array_equal(volumes["rest-00"]["image"], volumes["rest-01"]["image"])


def test_constant_image_becomes_zero():
    assert not standardised_volumes.standardise(np.full((2, 2, 2), 7)).any()


def write_nifti(folder, count):
    for part in ("images", "masks"):
        (folder / part).mkdir()
    affine = np.diag([-1.5, -1.5, 3.0, 1.0])
    for number in range(count):
        image = np.random.default_rng(number).normal(size=(4, 5, 6)).astype(np.float32)
        example = Example(
            "case",
            image,
            spacing_mm=(3.0, 1.5, 1.5),
            affine=np.eye(4),
            source_affine=affine,
            source_shape=(6, 5, 4),
        )
        example = type(example)(**{**vars(example), "affine": _canonical(affine)})
        for part, values in (("images", (image * 10 + 50).clip(0, 255)), ("masks", image > 0)):
            nifti.write_mask(folder / part / f"case{number}.nii.gz", values.astype(np.uint8), example)


def _canonical(affine):
    from data_pipelines import orientation

    return orientation.canonical_grid((6, 5, 4), affine)[1]


def test_nifti_volumes_are_split_once_for_all(tmp_path):
    write_nifti(tmp_path, 4)
    found = standardised_volumes.files(tmp_path, "cardiac", num_test=1, num_rest=2)
    assert len(found.rest) == 3
    assert sorted(found.rest + found.test) == [f"case{k}" for k in range(4)]
    again = standardised_volumes.files(tmp_path, "cardiac", num_test=1, num_rest=2)
    assert (again.rest, again.test) == (found.rest, found.test)
    one = found.build(found.test[0])
    assert one["image"].shape == (4, 5, 6)
    np.testing.assert_allclose(one["spacing"], (3.0, 1.5, 1.5))
    with pytest.raises(ReadError, match="4 volumes with masks; wanted 1 to test on and 9 more"):
        standardised_volumes.files(tmp_path, "cardiac", num_test=1, num_rest=9)


def write_stack(path, pages):
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=rest)


def write_micrographs(folder, shape=(3, 700, 900)):
    rng = np.random.default_rng(0)
    for block in ("training", "testing"):
        write_stack(folder / f"{block}.tif", rng.integers(0, 255, shape, dtype=np.uint8))
        write_stack(folder / f"{block}_groundtruth.tif", 255 * (rng.random(shape) > 0.9).astype(np.uint8))


def test_published_micrographs_are_cut_into_the_papers_parts(tmp_path):
    write_micrographs(tmp_path)
    found = standardised_volumes.files(tmp_path, "mitochondria", num_test=9, num_rest=1)
    assert sorted(found.rest) == [f"training-{k}" for k in range(4)]
    assert sorted(found.test) == [f"testing-{k}" for k in range(4)]
    assert found.build("training-3")["image"].shape == (3, 448, 448)
    part = found.build("testing-0")
    assert part["label"].shape == (3, 165, 165)
    np.testing.assert_array_equal(part["spacing"], 1)


def test_missing_micrographs_are_named(tmp_path):
    write_stack(tmp_path / "training.tif", np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ReadError, match=r"training_groundtruth\.tif: found no such file"):
        standardised_volumes.find_cases(tmp_path, "mitochondria")


def test_a_folder_of_one_data_set_is_no_folder_of_the_other(tmp_path):
    """Else a table that compares the two would compare one with itself."""
    write_nifti(tmp_path, 2)
    with pytest.raises(ReadError, match=r"training\.tif: found no such file; wanted the four TIFF files"):
        standardised_volumes.find_cases(tmp_path, "mitochondria")
    write_micrographs(tmp_path, (2, 8, 8))
    assert len(standardised_volumes.find_cases(tmp_path, "mitochondria")) == 8
    assert len(standardised_volumes.find_cases(tmp_path, "cardiac")) == 2
