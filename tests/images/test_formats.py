"""Formats that Pillow or optional packages read, and words where they are missing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from skimage import data

from detail_embed.images.image_file import (
    UnreadableImage,
    read_image,
    read_picture,
    read_size,
)

ROOT = Path(__file__).resolve().parents[2]
ASTRONAUT = Image.fromarray(data.astronaut()[::4, ::3])
RGB = np.asarray(ASTRONAUT)

READ = """
import sys
from detail_embed.images.image_file import UnreadableImage, read_image
for name in sys.argv[1].split():
    sys.modules[name] = None  # as if it was not installed
try:
    print(read_image(sys.argv[2]).shape)
except UnreadableImage as error:
    print(error.reason)
"""
HEADS = {  # of a file, its format and the package that reads it
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": ("HEIC", "pillow-heif"),
    b"\0\0\0\x0cJXL \r\n\x87\n": ("JPEG XL", "pillow-jxl-plugin"),
    b"\xff\x0a\0\0": ("JPEG XL", "pillow-jxl-plugin"),
    b"\0\0\0\x18ftypcrx \0\0\0\0": ("a camera's raw file (CR3)", "rawpy"),
    b"FUJIFILMCCD-RAW 0201": ("a camera's raw file (RAF)", "rawpy"),
    b"IIU\0\x18\0\0\0": ("a camera's raw file (RW2)", "rawpy"),
    b"IIRO\x08\0\0\0": ("a camera's raw file (ORF)", "rawpy"),
}
OPTIONAL = "pillow_heif pillow_jxl rawpy"


def reason(path, **options):
    with pytest.raises(UnreadableImage) as caught:
        read_image(path, **options)
    return caught.value.reason


def read_without(modules, path):
    """What another process, without some modules, says of a file."""
    done = subprocess.run(
        [sys.executable, "-c", READ, modules, str(path)], cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"}, capture_output=True, text=True,
    )
    assert not done.returncode, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def close(pixels):
    assert pixels.shape == RGB.shape
    return np.abs(pixels.astype(int) - RGB).mean() < 8


@pytest.mark.parametrize("head", HEADS, ids=lambda head: HEADS[head][0])
def test_formats_are_named_with_their_package(tmp_path, head):
    path = tmp_path / "a.jpg"
    path.write_bytes(head)
    format, package = HEADS[head]
    said = read_without(OPTIONAL, path)
    assert said.startswith(f"is {format}, which needs a package here")
    assert f'pip install "detail-embed[formats]" (that is {package})' in said
    assert "save it as JPEG" in said


@pytest.mark.parametrize("head", HEADS, ids=lambda head: HEADS[head][0])
def test_damaged_files_are_named_with_or_without_it(tmp_path, head):
    path = tmp_path / "a.jpg"
    path.write_bytes(head)
    assert reason(path).startswith(f"is {HEADS[head][0]}")


@pytest.mark.parametrize("extension, feature", [("avif", "avif"), ("jp2", "jpg_2000")])
def test_what_pillow_has_built_in(tmp_path, extension, feature):
    if not features.check(feature):
        pytest.skip(f"this Pillow has no {feature}")
    path = tmp_path / f"a.{extension}"
    ASTRONAUT.save(path)
    assert close(read_image(path)) and close(read_picture(path.read_bytes()))
    assert read_size(path) == ASTRONAUT.size
    assert "pixels, more than the 99 allowed" in reason(path, max_pixels=99)
    path.write_bytes(path.read_bytes()[:100])
    assert reason(path)


@pytest.mark.parametrize(
    "module, format, extension",
    [("pillow_heif", "HEIF", "heic"), ("pillow_jxl", "JXL", "jxl")],
)
def test_what_packages_read(tmp_path, module, format, extension):
    plugin = pytest.importorskip(module, reason=f"{module} is not installed")
    if format == "HEIF":
        plugin.register_heif_opener()
    path = tmp_path / f"a.{extension}"
    ASTRONAUT.save(path, format)
    assert close(read_image(path)) and close(read_picture(path.read_bytes()))
    assert read_size(path) == ASTRONAUT.size
    assert "pixels, more than the 99 allowed" in reason(path, max_pixels=99)
    assert read_without("", path) == str(RGB.shape)  # where nobody registered it
    path.write_bytes(path.read_bytes()[:-200])
    assert reason(path)


def raw_photo(path):
    """A DNG of a sensor, with another picture as its preview."""
    tifffile = pytest.importorskip("tifffile")
    mosaic = np.full((128, 160), 500, "u2")
    mosaic[::2, ::2] = 3000  # red
    matrix = [(n, 10000) for n in (10000, 0, 0, 0, 10000, 0, 0, 0, 10000)]
    flat = [part for pair in matrix for part in pair]
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            np.full((32, 40, 3), (0, 0, 250), np.uint8), photometric="rgb",
            subfiletype=1, subifds=1, metadata=None,
            extratags=[
                (50706, 1, 4, bytes([1, 4, 0, 0]), True),
                (50708, 2, 0, "Test", True), (271, 2, 0, "Test", True),
                (272, 2, 0, "Test", True), (50721, 10, 9, flat, True),
                (50728, 5, 3, [1, 1, 1, 1, 1, 1], True),
            ],
        )
        tiff.write(
            mosaic, photometric="cfa", subfiletype=0, metadata=None,
            extratags=[
                (33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True),
                (50714, 4, 1, 0, True), (50717, 4, 1, 4095, True),
            ],
        )
    return path


def test_a_raw_photo_and_not_its_preview(tmp_path):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    path = raw_photo(tmp_path / "a.dng")
    pixels = read_image(path)
    assert read_size(path) == (pixels.shape[1], pixels.shape[0])
    assert pixels.shape[0] >= 120 and pixels.shape[1] >= 150
    red, _, blue = pixels.reshape(-1, 3).mean(axis=0)
    assert red > blue + 50  # the preview is blue


def test_a_raw_photo_without_the_package(tmp_path):
    said = read_without("rawpy", raw_photo(tmp_path / "a.dng"))
    assert said.startswith("is a camera's raw file (DNG), which needs a package")
    assert "a preview in it is not taken for the photograph" in said


def test_deep_colours_without_the_package_of_their_compression(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.zeros((9, 9, 5), "u2"), photometric="rgb", extrasamples=[0, 0]
    )
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags[259].overwrite(5)
    said = read_without("imagecodecs", path)
    assert said.startswith("is a TIFF compressed as LZW, which needs a package here")
    assert "it has 5 bands of 16 bits, pixel by pixel, photometric RGB" in said
    assert "pip install tifffile" in read_without("tifffile", path)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("._a.jpg", "is what macOS writes beside a file (AppleDouble"),
        (".DS_Store", "is a hidden file (its name begins with a dot)"),
        (".a.jpg", "is a hidden file (its name begins with a dot)"),
    ],
)
def test_files_that_nobody_sees(tmp_path, name, expected):
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\1Bud1")
    assert reason(path).startswith(expected)
    ASTRONAUT.save(path, "PNG")
    np.testing.assert_array_equal(read_image(path), RGB)


def test_appledouble_by_its_content(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\x05\x16\x07\0\x02\0\0")
    assert reason(path).startswith("is what macOS writes beside a file (AppleDouble")


@pytest.mark.parametrize(
    "path, expected",
    [
        ("https://a.b/c.jpg", "is an address (https://)"),
        ("/made/absolute/s3:/bucket/a.jpg", "is an address (s3://)"),
        ("/made/absolute/GS:/bucket/a.jpg", "is an address (gs://)"),
        ("file:///tmp/none.jpg", "is a file:// address: give the path alone"),
        ("/made/absolute/file:/tmp/none.jpg", "is a file:// address"),
        ("C:/none.jpg", "is missing"),
        ("/none/a:b/c.jpg", "is missing"),
    ],
)
def test_addresses_are_named(path, expected):
    assert reason(path).startswith(expected)
