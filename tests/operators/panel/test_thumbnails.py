"""Small pictures as data URLs: of good files and of bad ones."""

import base64
import functools
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from operators.panel import thumbnails
from operators.panel.thumbnails import SIDE, draw

RED, BLUE = (220, 20, 20), (20, 20, 220)
NEAR = 12  # JPEG


def pixels(url):
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(BytesIO(base64.b64decode(data, validate=True)))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIDE, SIDE))
    return np.asarray(image).astype(int)


def shows(picture, place, colour):
    return np.abs(picture[place] - colour).max() <= NEAR


@pytest.fixture
def two_halves(tmp_path):
    """A picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (300, 300), RED)
    image.paste(BLUE, (150, 0, 300, 300))

    def save(name="halves.png", **kwargs):
        image.save(tmp_path / name, **kwargs)
        return str(tmp_path / name)

    return save


def test_a_picture_is_shrunk(two_halves):
    (url,) = draw([two_halves()])
    picture = pixels(url)
    assert shows(picture, (66, 20), RED) and shows(picture, (66, 112), BLUE)


def test_a_wide_picture_is_shown_whole(tmp_path):
    image = Image.new("RGB", (900, 300), BLUE)
    image.paste(RED, (0, 0, 450, 300))
    image.save(tmp_path / "wide.png")
    picture = pixels(draw([str(tmp_path / "wide.png")])[0])
    assert shows(picture, (66, 5), RED) and shows(picture, (66, 126), BLUE)
    assert picture[5].max() < 60 and picture[126].max() < 60


def test_boxes_are_outlined(two_halves):
    path, box, other = two_halves(), [0.5, 0.5, 0.4, 0.3], [0.1, 0.1, 0.2, 0.2]
    drawn = draw([path] * 3, boxes=[[], [box], [box, other]])
    plain, boxed, both = map(pixels, drawn)
    added = np.abs(both - boxed).max(axis=2) > 60
    assert added[13:41, 13:41].any() and not added[45:].any()
    changed = np.abs(plain - boxed).max(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max()) == pytest.approx((64, 107), abs=3)
    assert (columns.min(), columns.max()) == pytest.approx((64, 120), abs=3)
    assert not changed[72:98, 74:110].any()


@pytest.mark.parametrize(
    "orientation, red",
    [(1, (66, 10)), (3, (66, 122)), (6, (10, 66)), (8, (122, 66)), (2, (66, 122))],
)
def test_a_camera_that_was_turned(two_halves, orientation, red):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = pixels(draw([two_halves("turned.jpg", exif=exif, quality=95)])[0])
    assert shows(picture, red, RED)
    opposite = tuple(SIDE - 1 - i for i in red)
    assert shows(picture, opposite, BLUE)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "CMYK", "1"])
def test_every_kind_of_pixel(tmp_path, mode):
    file = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (40, 60)).save(file)
    pixels(draw([str(file)])[0])


def test_16_bits_are_not_white(tmp_path):
    half = np.full((50, 50), 2**15, np.uint16)
    Image.fromarray(half).save(tmp_path / "half.png")
    assert shows(pixels(draw([str(tmp_path / "half.png")])[0]), (66, 66), (128,) * 3)


def broken(folder, kind, good):
    path = folder / f"{kind}.png"
    data = bytearray(good)
    if kind == "text":
        data = b"this is no image"
    elif kind == "empty":
        data = b""
    elif kind == "cut":
        data = data[: len(data) // 2]
    elif kind == "chunk":
        data[36:40] = b"\0\0\0\0"  # the name of the chunk after the head
    elif kind == "second chunk":
        place = data.rindex(b"IDAT")
        data[place : place + 4] = b"\0\1\2\3"
    elif kind == "missing":
        return str(path)
    elif kind == "folder":
        path.mkdir()
        return str(path)
    elif kind == "nowhere":
        return ""
    elif kind == "no path":
        return "a\0b"
    path.write_bytes(data)
    return str(path)


KINDS = [
    "text", "empty", "cut", "chunk", "second chunk", "missing", "folder", "nowhere",
    "no path",
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read_is_grey(tmp_path, two_halves, kind):
    rng = np.random.default_rng(0)
    good = tmp_path / "good.png"
    Image.fromarray(rng.integers(0, 255, (299, 299, 3), dtype=np.uint8)).save(good)
    bad = broken(tmp_path, kind, good.read_bytes())
    first, second = map(pixels, draw([bad, two_halves()]))
    assert np.ptp(first) <= NEAR and shows(first, (66, 66), thumbnails._BLANK)
    assert shows(second, (66, 20), RED)


def test_a_picture_that_is_too_large(two_halves, monkeypatch):
    limited = functools.partial(thumbnails.as_huge, max_pixels=1000)
    monkeypatch.setattr(thumbnails, "as_huge", limited)
    (url,) = draw([two_halves("halves.webp")])  # which is not read by parts
    assert shows(pixels(url), (66, 66), thumbnails._BLANK)


def test_frames_and_tags(two_halves):
    path = two_halves()
    plain, framed, tagged, both = map(
        pixels,
        draw([path] * 4, ["", "", "7", "12"], [False, True, False, True]),
    )
    corner, middle = (SIDE - 3, SIDE - 3), (66, 20)
    for picture, has_frame in ((plain, 0), (framed, 1), (tagged, 0), (both, 1)):
        assert shows(picture, middle, RED)
        assert shows(picture, corner, thumbnails._FRAME if has_frame else BLUE)
    tag = np.s_[5:22, 5:22]
    assert np.abs(tagged[tag] - plain[tag]).max() > 100
    assert np.abs(framed[tag] - plain[tag])[4:, 4:].max() < 40
    assert (tagged[tag].min(axis=2) > 180).any()  # white letters
    assert (tagged[tag].max(axis=2) < 60).any()  # on black


def test_none():
    assert draw([]) == []


def test_a_file_that_is_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (50, 50), RED).save(path)
    assert shows(pixels(draw([str(path)])[0]), (66, 66), RED)
    Image.new("RGB", (50, 50), BLUE).save(path)
    assert shows(pixels(draw([str(path)])[0]), (66, 66), BLUE)


def test_a_frame_does_not_stay_in_memory(two_halves):
    path = two_halves()
    draw([path], ["1"], [True])
    assert shows(pixels(draw([path])[0]), (SIDE - 3, SIDE - 3), BLUE)
