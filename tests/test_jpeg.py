"""JPEGs: the pixels of Pillow, smaller ones that are enough, damage left to Pillow."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from detail_embed import jpeg
from detail_embed.cover import CompleteCover
from detail_embed.patches import PatchSpec, enough, extract_patches
from detail_embed.reader import UnreadableImage, read_image, read_images

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


def decode(data, least=None):
    with Image.open(io.BytesIO(data)) as image:
        return jpeg.decode(data, image, least)


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
    asked = []
    small = decode(data, lambda *size: asked.append(size) or (51, 51))
    height, width = found.shape[:2]
    assert asked == [(width, height)]
    assert small.shape == (-(-height // 2), -(-width // 2), 3)


@pytest.mark.parametrize(
    "least, size",
    [((203, 118), (203, 118)), ((102, 59), (102, 59)), ((103, 59), (203, 118)),
     ((51, 30), (51, 30)), ((20, 30), (51, 30)), ((26, 15), (26, 15)),
     ((1, 1), (26, 15))],
)
def test_the_smallest_whole_factor(least, size):
    found = decode(saved(picture()), lambda *_: least)
    assert found.shape[1::-1] == size


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_left_to_pillow(mode):
    assert decode(saved(picture().convert(mode))) is None


def test_damage_is_left_to_pillow(tmp_path):
    data = saved(picture(400, 400))
    half = data[: len(data) // 2]
    with Image.open(io.BytesIO(half)) as image:
        assert jpeg.decode(half, image) is None
    path = tmp_path / "half.jpg"
    path.write_bytes(half)
    with pytest.raises(UnreadableImage, match="truncated"):
        read_image(path)


def test_files_come_as_small_as_is_enough(tmp_path):
    for name, turned in (("a.jpg", 1), ("b.jpg", 6)):
        exif = Image.Exif()
        exif[274] = turned
        picture().save(tmp_path / name, exif=exif)
    picture().save(tmp_path / "c.png")
    paths = sorted(tmp_path.iterdir())
    sizes = [
        (one.width, one.height, one.pixels.shape[:2])
        for one in read_images(paths, enough=lambda width, height: (50, 25))
    ]
    assert sizes == [
        (203, 118, (30, 51)), (118, 203, (102, 59)), (203, 118, (118, 203))
    ]


@pytest.mark.parametrize("size", [(900, 700), (640, 1000), (512, 512)])
@pytest.mark.parametrize("c", [1, 3, 5])
def test_patches_of_what_is_enough_are_alike(size, c):
    cover, spec = CompleteCover(c), PatchSpec(32)
    data = saved(picture(*size))
    full = torch.from_numpy(decode(data)).permute(2, 0, 1)
    least = enough(cover, spec, *size)
    small = torch.from_numpy(decode(data, lambda *_: least)).permute(2, 0, 1)
    assert small.shape[2] < full.shape[2]
    one, other = (
        extract_patches(pixels, cover, spec, size).float() for pixels in (full, small)
    )
    assert one.shape == other.shape
    assert (one - other).abs().mean() < 1.0


def test_all_pixels_are_needed_where_the_finest_level_has_as_many():
    assert enough(CompleteCover(5), PatchSpec(224), 1120, 1120) == (1120, 1120)
    assert enough(CompleteCover(10), PatchSpec(224), 900, 600) == (900, 600)
    assert enough(CompleteCover(5), PatchSpec(64), 1120, 1120) == (480, 480)
