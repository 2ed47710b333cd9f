"""JPEGs: the pixels of Pillow, and what is left to Pillow."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from detail_embed.images.decode import decode_jpeg
from detail_embed.images.image_file import UnreadableImage, read_image

pytest.importorskip("simplejpeg")


def picture(width=203, height=118):
    """Smooth colours with an edge."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, 40 + (x > y) * 150], -1)
    return Image.fromarray(pixels.astype(np.uint8))


def saved(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, **options)
    return file.getvalue()


def decode(data):
    with Image.open(io.BytesIO(data)) as image:
        return decode_jpeg(data, image)


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_the_pixels_are_those_of_pillow(subsampling, progressive):
    data = saved(picture(), subsampling=subsampling, progressive=progressive)
    assert np.array_equal(decode(data), by_pillow(data))


@pytest.mark.parametrize("turned", range(10))
def test_orientation(turned):
    exif = Image.Exif()
    exif[274] = turned
    data = saved(picture(), exif=exif)
    found = decode(data)
    assert found.flags.c_contiguous and np.array_equal(found, by_pillow(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_left_to_pillow(mode):
    assert decode(saved(picture().convert(mode))) is None


def test_damage_is_left_to_pillow(tmp_path):
    data = saved(picture(400, 400))
    half = data[: len(data) // 2]
    with Image.open(io.BytesIO(half)) as image:
        assert decode_jpeg(half, image) is None
    path = tmp_path / "half.jpg"
    path.write_bytes(half)
    with pytest.raises(UnreadableImage, match="truncated"):
        read_image(path)
