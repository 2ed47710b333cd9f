"""TIFF files: the photograph and not its thumbnail, colours of many bands, all bits."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from detail_embed.images import bit_depth
from detail_embed.images.image_file import UnreadableImage, read_image, read_size

ROOT = Path(__file__).resolve().parents[2]
RGB = data.astronaut()[::4, ::3]  # 128 x 171
HEIGHT, WIDTH = RGB.shape[:2]
SMALL = np.full((16, 20, 3), 7, np.uint8)
OTHER = np.full((300, 400, 3), 9, np.uint8)
LARGE = np.full((4 * 16, 4 * 20, 3), 99, np.uint8)


def reason(path, **options):
    with pytest.raises(UnreadableImage) as caught:
        read_image(path, **options)
    return caught.value.reason


def write(path, *pages, **options):
    """Pages as ``(pixels, options)``."""
    with tifffile.TiffWriter(path, **options) as tiff:
        for pixels, own in pages:
            tiff.write(pixels, photometric="rgb", metadata=None, **own)
    return path


def check(path, expected, atol=0):
    pixels = read_image(path)
    assert pixels.shape == expected.shape
    assert pixels.dtype == np.uint8 and pixels.flags.writeable
    np.testing.assert_allclose(pixels.astype(int), expected.astype(int), atol=atol)
    assert read_size(path) == (pixels.shape[1], pixels.shape[0])


@pytest.mark.parametrize("form", [{}, {"bigtiff": True}, {"byteorder": ">"}])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_thumbnail_that_comes_first(tmp_path, form, compression):
    path = write(
        tmp_path / "a.tif", (SMALL, {"subfiletype": 1}),
        (RGB, {"compression": compression}), **form,
    )
    check(path, RGB)


def test_a_compressed_photograph_after_its_thumbnail(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(SMALL).save(
        path, save_all=True, append_images=[Image.fromarray(RGB)],
        compression="tiff_lzw", tiffinfo={254: 1},
    )
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[1].tags[254].overwrite(0)
    check(path, RGB)


def test_the_photograph_in_a_sub_directory(tmp_path):
    path = write(
        tmp_path / "a.tif", (SMALL, {"subfiletype": 1, "subifds": 2}),
        (OTHER[:40, :40], {"subfiletype": 1}), (RGB, {"subfiletype": 0}),
    )
    check(path, RGB)


def test_a_pyramid_is_read_at_full_size(tmp_path):
    halves = [(RGB[::n, ::n], {"subfiletype": 1}) for n in (2, 4)]
    check(write(tmp_path / "a.tif", (RGB, {"subifds": 2}), *halves), RGB)
    check(write(tmp_path / "b.tif", (RGB, {}), *halves), RGB)
    check(write(tmp_path / "c.tif", *halves[::-1], (RGB, {})), RGB)


@pytest.mark.parametrize("place", [0, 1])
def test_a_mask_is_no_photograph(tmp_path, place):
    pages = [(RGB, {})]
    pages.insert(place, (OTHER, {"subfiletype": 1}))
    path = write(tmp_path / "a.tif", *pages)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[place].tags[254].overwrite(4)
    check(path, RGB)


def test_pages_of_a_document_are_as_they_come(tmp_path):
    pages = [(RGB, {"subfiletype": 2}), (OTHER, {"subfiletype": 2})]
    check(write(tmp_path / "a.tif", *pages), RGB)
    check(write(tmp_path / "b.tif", *pages[::-1]), OTHER)
    check(write(tmp_path / "c.tif", (SMALL, {"subfiletype": 1}), *pages), RGB)


def test_a_thumbnail_that_is_not_marked(tmp_path):
    check(write(tmp_path / "a.tif", (SMALL, {}), (LARGE, {})), LARGE)
    check(write(tmp_path / "b.tif", (SMALL, {}), (LARGE[:50], {})), SMALL)
    check(write(tmp_path / "c.tif", (SMALL, {}), (LARGE[::2, ::2], {})), SMALL)


def test_nothing_but_small_ones(tmp_path):
    small = [(SMALL, {"subfiletype": 1}), (LARGE, {"subfiletype": 1})]
    check(write(tmp_path / "a.tif", *small), LARGE)


def test_the_limit_is_that_of_the_image_that_is_taken(tmp_path):
    path = write(tmp_path / "a.tif", (SMALL, {"subfiletype": 1}), (RGB, {}))
    assert f"has {WIDTH} x {HEIGHT} pixels" in reason(path, max_pixels=1000)
    deep = tmp_path / "deep.tif"
    tifffile.imwrite(deep, RGB.astype("u2"), photometric="rgb")
    assert f"has {WIDTH} x {HEIGHT} pixels" in reason(deep, max_pixels=1000)


def test_directories_in_a_circle(tmp_path):
    path = write(tmp_path / "a.tif", (SMALL, {"subfiletype": 1}))
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    end = start + 2 + 12 * int.from_bytes(content[start : start + 2], "little")
    content[end : end + 4] = content[4:8]
    path.write_bytes(content)
    check(path, SMALL)


LAYOUTS = list(itertools.product(
    (8, 12, 16), ("contig", "separate"), (None, (32, 48)),
    ({}, {"bigtiff": True, "byteorder": ">"}),
))


@pytest.mark.parametrize("bits, planes, tile, form", LAYOUTS)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_bands_beside_the_colours(tmp_path, bits, planes, tile, form, compression):
    top = 2**bits - 1
    scaled = np.rint(RGB / 255 * top).astype("u1" if bits == 8 else "u2")
    rng = np.random.default_rng(0)
    infrared = rng.integers(top // 4, top, (HEIGHT, WIDTH, 1)).astype(scaled.dtype)
    opacity = np.full_like(infrared, top)
    opacity[:20] = 0
    cases = {
        (): ([], False),
        ("unspecified",): ([infrared], False),
        ("unassalpha",): ([opacity], True),
        ("assocalpha",): ([opacity], True),
        ("unspecified", "unassalpha"): ([infrared, opacity], True),
        ("unspecified",) * 5: ([infrared] * 5, False),
    }
    for extras, (bands, is_cut) in cases.items():
        expected, colours = RGB.copy(), scaled
        if is_cut:
            expected[:20] = 255
        if "assocalpha" in extras:
            colours = np.where(opacity > 0, scaled, 0).astype(scaled.dtype)
        stored = np.concatenate([colours, *bands], axis=2)
        stored = np.moveaxis(stored, 2, 0) if planes == "separate" else stored
        tifffile.imwrite(
            tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planes,
            extrasamples=extras or None, compression=compression, tile=tile, **form,
        )
        check(tmp_path / "a.tif", expected, atol=1)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("kind", ["infrared", "nothing", "half", "ones"])
def test_a_band_that_is_called_opacity_and_is_none(tmp_path, dtype, kind):
    top = np.iinfo(dtype).max
    colours = RGB.astype(dtype) * (top // 255)
    rng = np.random.default_rng(1)
    band = {
        "infrared": rng.integers(0, top, (HEIGHT, WIDTH)),
        "nothing": np.zeros((HEIGHT, WIDTH)),
        "half": np.full((HEIGHT, WIDTH), top // 2),
        "ones": np.ones((HEIGHT, WIDTH)),
    }[kind].astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.dstack([colours, band]), photometric="rgb",
        extrasamples=["unassalpha"],
    )
    check(path, RGB)


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("count", [3, 4, 8])
def test_bands_without_a_word_about_colours_are_refused(tmp_path, planes, count):
    path = tmp_path / "a.tif"
    shape = (count, 40, 50) if planes == "separate" else (40, 50, count)
    tifffile.imwrite(
        path, np.ones(shape, "u2"), photometric="minisblack", planarconfig=planes,
        extrasamples=["unspecified"] * (count - 1),
    )
    found = reason(path)
    assert f"it has {count} bands of 16 bits" in found
    assert "photometric black is zero" in found and "gdal_translate" in found
    assert ("one band after the other" in found) == (planes == "separate")


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8", "u4"])
def test_numbers_without_a_range_are_named(tmp_path, dtype):
    for shape in ((20, 30), (20, 30, 3)):
        photometric = "rgb" if len(shape) == 3 else "minisblack"
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.ones(shape, dtype), photometric=photometric)
        assert "save 8 or 16 bits" in reason(path)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_16_bit_cmyk(tmp_path, planes):
    paper = np.asarray(Image.fromarray(RGB).convert("CMYK")).astype("u2") * 257
    stored = np.moveaxis(paper, 2, 0) if planes == "separate" else paper
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="separated", planarconfig=planes)
    check(path, RGB, atol=1)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_deep_colours_are_upright(tmp_path, orientation):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, RGB.astype("u2") * 257, photometric="rgb",
        extratags=[(274, 3, 1, orientation, True)],
    )
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    check(path, np.rot90(RGB, turns))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_cut_off_files_are_refused(tmp_path, keep, compression, dtype):
    path = tmp_path / "a.tif"
    stored = np.dstack([RGB.astype(dtype)] * 2)
    tifffile.imwrite(
        path, stored, photometric="rgb", extrasamples=["unspecified"] * 3,
        compression=compression,
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert reason(path)


@pytest.fixture
def unsaid(monkeypatch):
    monkeypatch.setattr(bit_depth, "_said", type(bit_depth._said)())


def deep_file(path, kind, bits):
    grey = np.rint(RGB[..., 1] / 255 * (2**bits - 1)).astype("u2")
    colours = np.rint(RGB / 255 * (2**bits - 1)).astype("u2")
    if kind.startswith("tif"):
        path = path.with_suffix(".tif")
        is_grey = "grey" in kind
        photometric = "minisblack" if is_grey else "rgb"
        photometric = "miniswhite" if "white" in kind else photometric
        stored = grey.max() - grey if "white" in kind else grey
        tifffile.imwrite(
            path, stored if is_grey else colours, photometric=photometric,
            compression="zlib" if "zlib" in kind else None,
        )
        return path
    cv2 = pytest.importorskip("cv2")
    path = path.with_suffix(".png")
    opaque = np.full((HEIGHT, WIDTH, 1), 65535, "u2")
    stored = {
        "png grey": grey, "png": colours[..., ::-1],
        "png alpha": np.concatenate([colours[..., ::-1], opaque], axis=2),
    }[kind]
    cv2.imwrite(str(path), stored)
    return path


DEEP = ("tif", "tif zlib", "tif grey", "tif white grey", "png", "png grey", "png alpha")


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("kind", DEEP)
def test_fewer_bits_in_16_are_stretched_and_said_once(
    tmp_path, kind, bits, unsaid, caplog
):
    path = deep_file(tmp_path / "a", kind, bits)
    expected = np.dstack([RGB[..., 1]] * 3) if "grey" in kind else RGB
    check(path, expected, atol=1)
    read_image(path)
    (record,) = [r for r in caplog.records if r.name == bit_depth.__name__]
    assert path.name in record.getMessage()
    assert "stretched by that maximum" in record.getMessage()


@pytest.mark.parametrize("kind", DEEP)
def test_all_bits_are_as_they_are(tmp_path, kind, unsaid, caplog):
    path = deep_file(tmp_path / "a", kind, 15.5)
    full = (2**15.5 - 1) / 65535
    colours = np.dstack([RGB[..., 1]] * 3) if "grey" in kind else RGB
    atol = 1
    expected = np.rint(colours * full).astype(np.uint8)
    if "white" in kind:
        expected = 255 - np.rint((255 - colours) * full + 0).astype(np.uint8)
        expected = 255 - np.rint((colours.max() - colours) * full).astype(np.uint8)
        atol = 2
    check(path, expected, atol=atol)
    assert not [r for r in caplog.records if r.name == bit_depth.__name__]


def test_black_stays_black(tmp_path, unsaid, caplog):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((9, 9, 3), "u2"), photometric="rgb")
    check(path, np.zeros((9, 9, 3), np.uint8))
    assert not caplog.records


def test_no_data_does_not_hide_the_range(tmp_path):
    colours = np.rint(RGB / 255 * 4095).astype("u2")
    colours[:10] = 65535
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, colours, photometric="rgb",
        extratags=[(42113, 2, 0, "65535", True)],
    )
    expected = RGB.copy()
    expected[:10] = 255
    check(path, expected, atol=1)


SAYS = """
import sys
from detail_embed.images.image_file import UnreadableImage, read_image
for path in sys.argv[1:]:
    try:
        read_image(path)
    except UnreadableImage:
        print("unreadable")
"""


def test_libraries_do_not_write_to_stderr(tmp_path, fresh_python):
    """Thousands of damaged files have reasons, and print no lines."""
    many, cut, odd = (tmp_path / f"{name}.tif" for name in ("many", "cut", "odd"))
    tifffile.imwrite(many, RGB, photometric="rgb")
    with tifffile.TiffFile(many, mode="r+") as tiff:
        tiff.pages[0].tags[277].overwrite(60_000)  # samples a pixel
    tifffile.imwrite(cut, RGB.astype("u2"), photometric="rgb", compression="zlib")
    cut.write_bytes(cut.read_bytes()[:3000])
    tifffile.imwrite(odd, RGB.astype("u2"), photometric="rgb", compression="zlib")
    content = bytearray(odd.read_bytes())
    content[-500:-400] = b"\xaa" * 100
    odd.write_bytes(content)
    done = fresh_python(SAYS, many, cut, odd, folder=ROOT)
    assert done.stdout.split() == ["unreadable"] * 3
    assert not done.stderr
