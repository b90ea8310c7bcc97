import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data_pipelines.readers import images
from data_pipelines.readers.errors import ReadError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.stack([GREY, GREY + 50, GREY + 100], axis=-1)


def encoded(array, kind="PNG", mode=None, **options):
    stream = io.BytesIO()
    picture = Image.fromarray(array)
    (picture if mode is None else picture.convert(mode)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "array", [GREY, COLOUR, (GREY * 5000.0).astype(np.uint16)], ids=["grey", "colour", "16 bit"]
)
def test_png_is_read_as_stored(tmp_path, array):
    path = tmp_path / "case.png"
    path.write_bytes(encoded(array))
    example = images.read_image(path)
    np.testing.assert_array_equal(example.image, array)
    assert (example.image.dtype, example.subject, example.label) == (array.dtype, "case", None)


def test_jpeg_is_read_as_pillow_decodes_it(tmp_path):
    path = tmp_path / "case.jpg"
    path.write_bytes(encoded(np.tile(GREY * 20, (8, 8)), "JPEG"))
    np.testing.assert_array_equal(images.read_image(path).image, np.array(Image.open(path)))


@pytest.mark.parametrize("grey", [True, False])
def test_opaque_alpha_is_dropped(tmp_path, grey):
    array = GREY if grey else COLOUR
    path = tmp_path / "case.png"
    path.write_bytes(encoded(array, mode="LA" if grey else "RGBA"))
    np.testing.assert_array_equal(images.read_image(path).image, array)


def see_through():
    return encoded(np.dstack([COLOUR, np.full((3, 4), 254, np.uint8)]))


def bomb():
    """A PNG header that claims 30000 x 30000 pixels."""
    content = bytearray(encoded(GREY))
    content[16:24] = struct.pack(">II", 30000, 30000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def flipped(index):
    content = bytearray(encoded(GREY))
    content[index] ^= 1
    return bytes(content)


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(GREY, "JPEG", exif=exif)


def animation():
    frames = [Image.fromarray(GREY + value) for value in (0, 1)]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:])
    return stream.getvalue()


BAD = {
    "truncated PNG": (lambda: encoded(GREY)[:-20], "damaged image"),
    "truncated JPEG": (lambda: encoded(np.tile(GREY, (20, 20)), "JPEG")[:-30], "damaged image"),
    "flipped byte of the pixels": (lambda: flipped(-20), "damaged image"),
    "flipped byte of the header": (lambda: flipped(19), "damaged image"),
    "empty": (lambda: b"", "damaged image"),
    "other format": (lambda: encoded(GREY, "BMP"), "damaged image .*wanted an intact PNG or JPEG"),
    "bomb": (bomb, "Pillow's limit"),
    "palette": (lambda: encoded(GREY, mode="P"), "mode P"),
    "bilevel": (lambda: encoded(GREY > 5), "mode 1"),
    "transparent": (see_through, "alpha down to 254"),
    "CMYK": (lambda: encoded(COLOUR, "JPEG", mode="CMYK"), "mode CMYK"),
    "rotated by EXIF": (rotated, "EXIF orientation"),
    "animation": (animation, "an animation"),
}


@pytest.mark.faults
@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_images_are_refused(tmp_path, make, message, record_fault, request):
    path = tmp_path / "case.png"
    path.write_bytes(make())
    with pytest.raises(ReadError, match=message) as caught:
        images.read_image(path)
    assert str(caught.value).startswith(f"{path}: found ")
    assert "\n" not in str(caught.value)
    # Pillow's message may hold the address of an object.
    found = caught.value.found.split(" <")[0]
    record_fault(f"PNG and JPEG: {request.node.callspec.id}", f"found {found}")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_any_truncation_is_refused(tmp_path, rewrite, kind):
    path, content = tmp_path / "case", encoded(np.tile(GREY, (10, 10)), kind)
    for length in range(len(content)):
        rewrite(path, content[:length])
        with pytest.raises(ReadError):
            images.read_image(path)


def test_moderate_excess_over_pillows_limit_is_an_error_too(tmp_path, monkeypatch):
    path = tmp_path / "case.png"
    path.write_bytes(encoded(GREY))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8)
    with pytest.raises(ReadError, match="more pixels than Pillow's limit"):
        images.read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    assert images.read_image(path).image.shape == (3, 4)


def test_missing_file(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        images.read_image(tmp_path / "case.png")


@pytest.fixture
def read_pair(tmp_path):
    def read(mask_content, **options):
        (tmp_path / "case.png").write_bytes(encoded(COLOUR))
        (tmp_path / "mask.png").write_bytes(mask_content)
        return images.read_pair(tmp_path / "case.png", tmp_path / "mask.png", **options)

    return read


def test_masks_of_every_kind(read_pair):
    np.testing.assert_array_equal(read_pair(encoded(GREY)).label, GREY)
    wide = (GREY * 1000.0).astype(np.uint16)
    np.testing.assert_array_equal(read_pair(encoded(wide)).label, wide)
    bilevel = read_pair(encoded(GREY > 5)).label
    np.testing.assert_array_equal(bilevel, GREY > 5)
    assert bilevel.dtype == np.uint8
    black_and_white = np.where(GREY > 5, 255, 0).astype(np.uint8)
    label = read_pair(encoded(black_and_white), pixel_values=(0, 255)).label
    np.testing.assert_array_equal(label, GREY > 5)


def test_colours_become_labels(read_pair):
    colours = ((0, 0, 0), (0, 255, 0), (255, 0, 0))
    labels = GREY % 3
    mask = np.array(colours, np.uint8)[labels]
    np.testing.assert_array_equal(read_pair(encoded(mask), pixel_values=colours).label, labels)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (encoded(GREY[:2]), {}, r"a mask of size \(2, 4\); wanted the image's \(3, 4\)"),
        (encoded(GREY, "JPEG"), {}, "a JPEG mask"),
        (encoded(COLOUR), {}, "a colour mask"),
        (encoded(GREY), {"pixel_values": (0, 255)}, "11 pixels such as 1;"),
        (encoded(COLOUR), {"pixel_values": (0, 255)}, "a mask of values such as 0"),
        (encoded(GREY), {"pixel_values": ((0, 0, 0),)}, r"a mask of values such as \(0, 0, 0\)"),
        (encoded(COLOUR), {"pixel_values": ((0, 50, 100),)}, r"11 pixels such as \[1, 51, 101\]"),
    ],
    ids=["size", "JPEG", "colour", "values", "no colour", "no grey", "colours"],
)
def test_bad_masks_are_refused(read_pair, content, options, message):
    with pytest.raises(ReadError, match=message) as caught:
        read_pair(content, **options)
    assert caught.value.file.name == "mask.png"


def test_real_images_and_masks(real_data):
    folder = real_data / "us_breast_tcia"
    colours = ((0, 0, 0), (0, 255, 0), (255, 0, 0))
    for path in sorted((folder / "images").glob("*.png")):
        example = images.read_pair(path, folder / "masks" / path.name, pixel_values=colours)
        assert example.image.shape == (512, 512, 3)
        assert set(np.unique(example.label)) == {0, 1}
    cells = images.read_pair(
        real_data / "nuclei_dsb2018" / "images" / "00071198d059ba7f.png",
        real_data / "nuclei_dsb2018" / "labels" / "00071198d059ba7f.png",
    )
    assert cells.image.shape == cells.label.shape == (256, 256)
    assert cells.label.dtype == np.uint16
