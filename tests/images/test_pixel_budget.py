"""Images that are decoded ahead: no more than there is room for, and no standstill."""

import threading
import time

import pytest
import torch

from detail_embed.cover import CompleteCover
from detail_embed.engine import encode_files
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.images import image_file, reader
from detail_embed.images.pixel_budget import PixelBudget
from detail_embed.images.reader import read_images
from tests.tiny import tiny_backbone, write_images

SIDE = 20
PIXELS = SIDE * SIDE


@pytest.fixture
def paths(tmp_path):
    return write_images(tmp_path, [(SIDE, SIDE)] * 12)


@pytest.fixture
def decoded(monkeypatch):
    """The files whose pixels were decoded so far."""
    found, decode = [], image_file.decode_pixels

    def noted(path, image, *room):
        found.append(path)
        return decode(path, image, *room)

    monkeypatch.setattr(reader, "decode_pixels", noted)
    return found


def read(paths, limit):
    budget = PixelBudget(limit)
    return budget, read_images(paths, 4, prefetch=12, budget=budget)


def settled(decoded):
    time.sleep(0.3)
    return len(decoded)


def test_no_more_are_decoded_than_there_is_room_for(paths, decoded):
    budget, images = read(paths, 3 * PIXELS)
    next(images)
    assert settled(decoded) in (3, 4)  # what is waited for may come on top
    budget.give(2 * PIXELS)
    assert settled(decoded) == 5
    assert len(list(images)) == 11
    assert len(decoded) == 12


def test_what_is_waited_for_is_decoded_without_room(paths, decoded):
    _, images = read(paths, PIXELS // 2)
    for count, _ in enumerate(images, start=1):
        assert settled(decoded) == count
    assert count == 12


def test_a_damaged_file_gives_its_room_back(paths, decoded):
    for path in paths[:11]:
        path.write_bytes(path.read_bytes()[:100])
    budget, images = read(paths, PIXELS)
    assert [image.error is None for image in images] == [False] * 11 + [True]
    assert budget._held == PIXELS


def test_an_early_end_ends_those_who_wait(paths, decoded):
    _, images = read(paths, PIXELS)
    next(images)
    images.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("detail-read")]


@pytest.mark.parametrize("limit", [1, 3 * PIXELS, 100 * PIXELS])
def test_features_do_not_depend_on_the_room(tmp_path, paths, monkeypatch, limit):
    backbone, cover = tiny_backbone(tmp_path), CompleteCover(2)
    paths.insert(5, tmp_path / "missing.png")

    def features(**options):
        images = iter_patch_features(
            enumerate(paths), backbone, cover, EncodeOptions(**options)
        )
        return [image.features for image in images]

    wanted = features()
    monkeypatch.setattr(encode_files, "_WAITING_PIXELS", limit)
    found = features(batch_size=8, num_workers=3)
    assert found.pop(5) is None and wanted.pop(5) is None
    assert len(found) == 12
    for some, others in zip(found, wanted):
        torch.testing.assert_close(some, others, rtol=0, atol=1e-6)
