"""Reader: every kind of file as a person sees it, and a reason for every bad one."""

import io
import itertools
import os
import pickle
import threading
import time

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from skimage import data

from detail_embed.images.image_file import UnreadableImage, read_image
from detail_embed.images.reader import Decoded, read_images

ASTRONAUT = Image.fromarray(data.astronaut()).resize((120, 90))
RGB = np.asarray(ASTRONAUT)
LOSSLESS = {
    "png": {},
    "webp": {"lossless": True},
    "tif": {},
    "bmp": {},
    "ppm": {},
}
LOSSY = {"jpg": {"quality": 95}, "webp": {"quality": 95}, "gif": {}}


def save(path, image=ASTRONAUT, **options):
    image.save(path, **options)
    return path


def difference(a, b):
    return np.abs(a.astype(int) - b).mean()


def reason(path, **options):
    with pytest.raises(UnreadableImage) as caught:
        read_image(path, **options)
    assert caught.value.path == path
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


@pytest.mark.parametrize("extension", LOSSLESS)
def test_lossless_formats(tmp_path, extension):
    path = save(tmp_path / f"a.{extension}", **LOSSLESS[extension])
    pixels = read_image(path)
    np.testing.assert_array_equal(pixels, RGB)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable and pixels.flags.c_contiguous


@pytest.mark.parametrize("extension", LOSSY)
def test_lossy_formats(tmp_path, extension):
    path = save(tmp_path / f"a.{extension}", **LOSSY[extension])
    assert difference(read_image(path), RGB) < 12


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg"])
def test_compressed_tiff(tmp_path, compression):
    path = save(tmp_path / "a.tif", compression=compression)
    assert difference(read_image(path), RGB) < 8


def test_extension_does_not_matter(tmp_path):
    path = save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(read_image(str(path)), RGB)


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_and_palette(tmp_path, mode):
    image = ASTRONAUT.convert(mode)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", image)), expected)


@pytest.mark.parametrize(
    "dtype, extension", [("<u2", "png"), ("<u2", "tif"), (">u2", "tif")]
)
def test_16_bit_grey_is_scaled_by_its_full_range(tmp_path, dtype, extension):
    grey = np.array([[0, 257, 128 * 257, 65535]], dtype=dtype)
    pixels = read_image(save(tmp_path / f"a.{extension}", Image.fromarray(grey)))
    expected = np.repeat([[[0], [1], [128], [255]]], 3, axis=2)
    np.testing.assert_array_equal(pixels, expected)


GREY_16 = np.array([[0, 257, 128 * 257, 65535]], "u2")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff_whose_zero_is_white(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, GREY_16, photometric="miniswhite", compression=compression
    )
    assert read_image(path)[0, :, 0].tolist() == [255, 254, 127, 0]


def test_16_bit_planes(tmp_path):
    colours = np.moveaxis(RGB.astype("u2") * 257, 2, 0)
    raw, packed = tmp_path / "raw.tif", tmp_path / "packed.tif"
    options = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(raw, colours, **options)
    tifffile.imwrite(packed, colours, compression="zlib", **options)
    for path in (raw, packed):
        np.testing.assert_array_equal(read_image(path), RGB)
    tifffile.imwrite(raw, np.moveaxis(RGB, 2, 0), **options)
    np.testing.assert_array_equal(read_image(raw), RGB)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_16_bit_grey_and_alpha(tmp_path):
    path = tmp_path / "a.tif"
    both = np.stack([GREY_16, GREY_16 * 0 + 65535], axis=2)
    tifffile.imwrite(path, both, photometric="minisblack", extrasamples=["unassalpha"])
    assert read_image(path)[0, :, 0].tolist() == [0, 1, 128, 255]
    path.write_bytes(path.read_bytes()[:9])
    assert reason(path)


def test_transparent_grey_of_a_16_bit_png(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(GREY_16), transparency=0)
    assert read_image(path)[0, :, 0].tolist() == [255, 1, 128, 255]


@pytest.mark.parametrize("dtype", ["i4", "f4"])
def test_32_bit_pixels_are_refused_with_advice(tmp_path, dtype):
    path = save(tmp_path / "a.tif", Image.fromarray(np.ones((4, 4), dtype)))
    assert "save 8 or 16 bits" in reason(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_lies_over_white(tmp_path, mode):
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    if mode == "PA":
        path = save(tmp_path / "a.gif", image)
    else:
        image.putpixel((2, 0), (0, 0, 0, 127))
        path = save(tmp_path / "a.png", image.convert(mode))
    pixels = read_image(path)[0, :, 0]
    assert pixels[:2].tolist() == [0, 255]
    assert pixels[2] == (0 if mode == "PA" else 128)


def test_transparent_colour_of_an_rgb_png(tmp_path):
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((1, 0), (1, 2, 3))
    path = save(tmp_path / "a.png", image, transparency=(10, 20, 30))
    assert read_image(path).tolist() == [[[255, 255, 255], [1, 2, 3]]]


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_cmyk(tmp_path, extension):
    path = save(tmp_path / f"a.{extension}", ASTRONAUT.convert("CMYK"))
    assert difference(read_image(path), RGB) < 8


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, extension, orientation):
    # what a camera stores so that a viewer turns it back into RGB
    turned_back = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    stored = Image.fromarray(np.ascontiguousarray(turned_back(RGB)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{extension}", stored, exif=exif)
    pixels = read_image(path)
    assert pixels.shape == RGB.shape
    assert difference(pixels, RGB) < 8


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\x05x"]
)
def test_broken_exif_does_not_make_an_image_unreadable(tmp_path, exif):
    assert read_image(save(tmp_path / "a.jpg", exif=exif)).shape == RGB.shape


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tif"])
def test_first_frame_of_several(tmp_path, extension):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    path = save(
        tmp_path / f"a.{extension}", frames[0], save_all=True, append_images=frames[1:]
    )
    assert difference(read_image(path), [255, 0, 0]) < 3


@pytest.mark.parametrize("size", [(1, 1), (30_000, 10)])
def test_odd_sizes(tmp_path, size):
    path = save(tmp_path / "a.png", Image.new("RGB", size, (1, 2, 3)))
    assert read_image(path).shape == (size[1], size[0], 3)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "extension, options",
    [
        ("jpg", {}),
        ("jpg", {"progressive": True}),
        ("png", {}),
        ("webp", {}),
        ("tif", {}),
        ("tif", {"compression": "tiff_lzw"}),
        ("bmp", {}),
        ("gif", {}),
        ("ppm", {}),
    ],
)
def test_truncated_files_are_refused(tmp_path, extension, options, keep):
    path = save(tmp_path / f"a.{extension}", **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert reason(path)
    if extension in ("jpg", "png", "bmp"):
        assert reason(path) == "is truncated"


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "is empty"),
        (b"\n <!DOCTYPE html><html>404</html>", "is HTML, not an image"),
        (b"<html>", "is HTML, not an image"),
        (b"\xef\xbb\xbf<html>", "is HTML, not an image"),
        (b"<!-- moved --><html>", "is HTML or XML, not an image"),
        (b"<?xml version='1.0'?><svg/>", "is HTML or XML, not an image"),
        (b"just words", "is no image of a format read here"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is no image of a format read here"),
    ],
)
def test_other_content_is_named(tmp_path, content, expected):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert reason(path).startswith(expected)


def test_what_is_no_file_is_named(tmp_path):
    assert reason(tmp_path / "none.jpg") == "is missing"
    assert reason(tmp_path) == "is a directory"
    (tmp_path / "link.jpg").symlink_to(tmp_path / "none.jpg")
    assert reason(tmp_path / "link.jpg") == "is missing"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "is no regular file"
    assert reason("nul\0.jpg").startswith("cannot be decoded")
    assert reason("x" * 5000) == "cannot be read: File name too long"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path):
    path = save(tmp_path / "a.png")
    path.chmod(0)
    assert reason(path) == "cannot be read: permission denied"


def test_too_many_pixels_are_refused_before_decoding(tmp_path):
    path = save(tmp_path / "a.png")
    assert "120 x 90 pixels, more than the 10799 allowed" in reason(
        path, max_pixels=10_799
    )
    assert read_image(path, max_pixels=10_800).shape == RGB.shape


def test_bomb_is_refused_by_our_limit_and_pillows_is_left_alone(tmp_path):
    header = io.BytesIO()
    Image.new("1", (1, 1)).save(header, "BMP")
    content = bytearray(header.getvalue())
    content[18:26] = np.array([40_000, 40_000], "<i4").tobytes()
    path = tmp_path / "bomb.bmp"
    path.write_bytes(content)
    before = Image.MAX_IMAGE_PIXELS
    assert "40000 x 40000 pixels" in reason(path)
    assert before == Image.MAX_IMAGE_PIXELS


def test_error_survives_pickling():
    error = pickle.loads(pickle.dumps(UnreadableImage("a.jpg", "is missing")))
    assert (error.path, error.reason) == ("a.jpg", "is missing")


def numbered(tmp_path, n):
    return [
        save(tmp_path / f"{i}.png", Image.new("RGB", (200 - 9 * i, 5), (i, 0, 0)))
        for i in range(n)
    ]


def reader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("detail-read")]


@pytest.mark.parametrize(
    "num_workers, prefetch", [(None, None), (1, 1), (4, 2), (3, 50)]
)
def test_input_order_and_records_for_bad_files(tmp_path, num_workers, prefetch):
    paths = numbered(tmp_path, 12)
    paths[5] = tmp_path / "none.png"
    results = list(read_images(paths, num_workers, prefetch))
    assert [r.index for r in results] == list(range(12))
    assert [r.path for r in results] == paths
    for i, r in enumerate(results):
        assert isinstance(r, Decoded)
        if i == 5:
            assert r.pixels is None and r.error.reason == "is missing"
        else:
            assert r.error is None and r.pixels[0, 0, 0] == i
    assert not reader_threads()


def test_pinned_pixels_are_the_same(tmp_path):
    paths = numbered(tmp_path, 3)
    for plain, pinned in zip(read_images(paths), read_images(paths, pin=True)):
        assert (plain.pixels == pinned.pixels).all()
        is_pinned = torch.from_numpy(pinned.pixels).is_pinned()
        assert is_pinned == torch.cuda.is_available()


def test_no_files():
    assert list(read_images([])) == []


def test_files_are_asked_for_as_needed(tmp_path):
    path = save(tmp_path / "a.png")
    asked = itertools.count()
    endless = (path for _ in asked)
    results = read_images(endless, num_workers=2, prefetch=3)
    assert list(itertools.islice(results, 5))[-1].index == 4
    assert next(asked) <= 9
    results.close()
    deadline = time.monotonic() + 5
    while reader_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not reader_threads()


def test_errors_of_the_path_source_are_the_callers(tmp_path):
    def source():
        yield save(tmp_path / "a.png")
        raise RuntimeError("database gone")

    with pytest.raises(RuntimeError, match="database gone"):
        list(read_images(source()))
    assert not reader_threads()


@pytest.mark.parametrize("options", [{"num_workers": 0}, {"prefetch": 0}])
def test_bad_settings_are_named_at_once(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f"{name}=0"):
        read_images([], **options)
