import numpy as np
import pytest
from PIL import Image

from data_pipelines.readers import tiff_stack
from data_pipelines.readers.errors import ReadError


def write(path, pages):
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=rest)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pages_become_slices(tmp_path, dtype):
    pages = np.random.default_rng(0).integers(0, 250, (3, 4, 5)).astype(dtype)
    write(tmp_path / "stack.tif", pages)
    found = tiff_stack.read(tmp_path / "stack.tif")
    np.testing.assert_array_equal(found, pages)
    assert found.dtype == dtype


def test_refuses_pages_of_several_sizes(tmp_path):
    write(tmp_path / "stack.tif", [np.zeros((4, 5), np.uint8), np.zeros((4, 6), np.uint8)])
    with pytest.raises(ReadError, match="2 sizes"):
        tiff_stack.read(tmp_path / "stack.tif")


def test_refuses_colours_and_other_formats(tmp_path):
    write(tmp_path / "stack.tif", [np.zeros((4, 5, 3), np.uint8)])
    with pytest.raises(ReadError, match="RGB"):
        tiff_stack.read(tmp_path / "stack.tif")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "image.png")
    with pytest.raises(ReadError, match="PNG"):
        tiff_stack.read(tmp_path / "image.png")


def test_damaged_or_missing_files_are_one_line(tmp_path):
    write(tmp_path / "stack.tif", np.random.default_rng(0).integers(0, 250, (3, 40, 50)).astype(np.uint8))
    content = (tmp_path / "stack.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    for name in ("cut.tif", "none.tif"):
        with pytest.raises(ReadError) as caught:
            tiff_stack.read(tmp_path / name)
        assert "\n" not in str(caught.value)
