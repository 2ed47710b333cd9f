"""Pixels for a GPU: a JPEG is decoded right to where it copies them from."""

import numpy as np
import pytest
from PIL import Image

from detail_embed.images import reader
from detail_embed.images.reader import pinned, read_images


@pytest.fixture
def rooms(monkeypatch):
    """Stands in for page-locked memory, which takes a GPU: what was made of it."""
    made = []

    def room(size):
        made.append(np.zeros(size, np.uint8))
        return made[-1]

    monkeypatch.setattr(reader, "_pinned_room", room)
    monkeypatch.setattr(
        reader.torch.Tensor, "is_pinned",
        lambda self: any(self.data_ptr() == one.ctypes.data for one in made),
    )
    return made


@pytest.fixture
def files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6
    paths = [tmp_path / name for name in ("a.jpg", "turned.jpg", "a.png", "grey.jpg")]
    image.save(paths[0], quality=95)
    image.save(paths[1], exif=turned)
    image.save(paths[2])
    image.convert("L").save(paths[3])
    return paths


def test_all_pixels_lie_there_and_a_jpeg_was_never_elsewhere(rooms, files):
    plain = [found.pixels for found in read_images(files)]
    assert not rooms
    for path, wanted in zip(files, plain):
        rooms.clear()
        (found,) = read_images([path], num_workers=1, pin=True)
        assert found.pixels.shape == wanted.shape
        assert np.array_equal(found.pixels, wanted)
        assert np.shares_memory(found.pixels, rooms[-1])
        assert len(rooms) == 1


def test_a_damaged_jpeg_is_what_it_is_without(rooms, tmp_path, files):
    data = files[0].read_bytes()
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(data[: len(data) // 2])
    (wanted,), (found,) = read_images([bad]), read_images([bad], pin=True)
    assert found.error.reason == wanted.error.reason


def test_without_room_they_stay_where_they_are(monkeypatch, files):
    pixels = np.zeros((4, 5, 3), np.uint8)
    monkeypatch.setattr(reader, "_pinned_room", lambda size: None)
    assert pinned(pixels) is pixels
    (found,) = read_images(files[:1], pin=True)
    assert found.pixels.shape == (40, 60, 3)
    monkeypatch.undo()
    assert reader._pinned_room(2**27) is None
