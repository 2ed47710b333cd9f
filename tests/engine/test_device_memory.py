"""A device without enough memory: smaller batches, the same vectors, clear words."""

import logging

import numpy as np
import pytest
import torch

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.device_memory import cut_fitting
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.stream import stream
from tests.backbone.test_lack_of_memory import out_of_memory_errors
from tests.tiny import TINY, tiny_backbone, write_images

COVER = CompleteCover(3)  # 14 windows of a square image
NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory")


class SmallDevice(torch.nn.Module):
    """An image tower that has memory for a number of patches at a time."""

    def __init__(self, tower, room, error):
        super().__init__()
        self.tower, self.room, self.error, self.asked = tower, room, error, []

    def forward(self, images):
        self.asked.append(len(images))
        if len(images) > self.room:
            raise self.error
        return self.tower(images)


@pytest.fixture
def backbone(tmp_path):
    """Encodes in one thread, so that batches come one after the other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_backbone(tmp_path)
    torch.set_num_threads(threads)


@pytest.fixture
def files(tmp_path):
    return write_images(tmp_path, [(60, 60), (120, 40), (33, 77), (64, 64), (50, 90)])


def shrink(backbone, room, error=NO_MEMORY):
    tower = SmallDevice(backbone._model.visual, room, error)
    backbone._model.visual = tower
    return tower


def vectors(backbone, files, **options):
    fuser = fusers.create("mean", dim=backbone.dim)
    (chunk,) = stream(
        enumerate(files), backbone, COVER, fuser, EncodeOptions(**options),
        chunk_seconds=600,
    )
    assert not chunk.errors
    return chunk.vectors


@pytest.mark.parametrize("room", [1, 2, 5, 16, 31])
def test_batches_are_halved_until_they_fit(backbone, files, room):
    wanted = vectors(backbone, files, batch_size=32)
    tower = shrink(backbone, room)
    found = vectors(backbone, files, batch_size=32)
    assert np.abs(found - wanted).max() <= 1e-6
    tried = [tower.asked[0]]
    while tried[-1] > room:
        tried.append(-(-tried[-1] // 2))
    assert len(tried) > 1 or room == 31
    assert tower.asked[: len(tried)] == tried
    assert backbone.fitting_size == (tried[-1] if len(tried) > 1 else None)
    assert max(tower.asked[len(tried):]) <= room


@pytest.mark.parametrize("error", out_of_memory_errors(), ids=str)
def test_what_libraries_and_other_devices_say_of_it_is_understood(
    backbone, files, error
):
    wanted = vectors(backbone, files, batch_size=16)
    tower = shrink(backbone, 5, error)
    assert np.abs(vectors(backbone, files, batch_size=16) - wanted).max() <= 1e-6
    assert tower.asked[1:3] == [8, 4] and backbone.fitting_size == 4
    tower.room = 0
    with pytest.raises(RuntimeError, match="not even one patch of 32 x 32"):
        vectors(backbone, files)


def test_memory_is_given_back_when_a_run_ends_or_is_ended(
    backbone, files, monkeypatch
):
    given = []
    monkeypatch.setattr(torch.cpu, "empty_cache", lambda: given.append(1), False)
    vectors(backbone, files)
    assert given
    given.clear()
    fuser = fusers.create("mean", dim=backbone.dim)
    running = stream(enumerate(files), backbone, COVER, fuser, chunk_size=2)
    next(running)
    assert not given
    running.close()
    assert given


def test_the_size_is_remembered_and_logged_once(backbone, files, caplog):
    tower = shrink(backbone, 8)
    with caplog.at_level(logging.WARNING):
        vectors(backbone, files, batch_size=14)
        vectors(backbone, files, batch_size=14)
    assert tower.asked.count(14) == 1
    assert max(size for size in tower.asked[1:]) == 7
    (line,) = caplog.messages
    assert "out of memory" in line and "7 patches at a time" in line


def test_a_model_that_fits_not_even_one_patch_says_so(backbone, files):
    shrink(backbone, 0)
    with pytest.raises(RuntimeError, match="not even one patch of 32 x 32") as caught:
        list(iter_patch_features(enumerate(files), backbone, COVER))
    assert backbone.name in str(caught.value)
    assert "cpu" in str(caught.value)


def test_other_errors_are_not_taken_for_it(backbone, files, monkeypatch):
    def broken(images):
        raise RuntimeError("another error")

    monkeypatch.setattr(backbone._model.visual, "forward", broken)
    with pytest.raises(RuntimeError, match="another error"):
        list(iter_patch_features(enumerate(files), backbone, COVER))
    assert backbone.fitting_size is None


def test_patches_are_cut_on_the_cpu_where_memory_is_short(
    backbone, files, monkeypatch
):
    wanted = vectors(backbone, files)
    calls = []

    def once_out_of_memory(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return extract_patches(*arguments)

    monkeypatch.setattr(
        "detail_embed.engine.cut.extract_patches", once_out_of_memory
    )
    assert np.array_equal(vectors(backbone, files), wanted)
    assert len(calls) > len(files)


@pytest.mark.parametrize("error", out_of_memory_errors(), ids=str)
def test_the_cpu_is_the_second_choice(error):
    devices = []

    def cut(device):
        devices.append(device)
        if device.type == "meta":
            raise error
        return 7

    assert cut_fitting(cut, torch.device("meta")) == 7
    assert [device.type for device in devices] == ["meta", "cpu"]


@pytest.mark.parametrize("error", out_of_memory_errors(), ids=str)
def test_a_model_that_does_not_fit_says_so(backbone, monkeypatch, error):
    def too_large(self, patches):
        raise error

    monkeypatch.setattr(Backbone, "_encode", too_large)
    with pytest.raises(RuntimeError, match="not even the model fits .* of cpu with"):
        Backbone.load(TINY, device="cpu")
