"""Flat windows take the feature of a larger one; all others are as without it."""

import numpy as np
import pytest
import torch
from PIL import Image

from detail_embed.cover import CompleteCover
from detail_embed.cover.flat_windows import FLAT_RANGE, parents
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from tests.tiny import write_images

PLAIN = CompleteCover(5)
FLAT = CompleteCover(5, skip_flat=True)


def encode(backbone, paths, cover, **options):
    options = EncodeOptions(**options)
    return list(iter_patch_features(enumerate(paths), backbone, cover, options))


@pytest.mark.parametrize("size", [(320, 320), (500, 200), (40, 33), (1, 1), (3000, 40)])
@pytest.mark.slow
def test_parents_are_the_smallest_larger_windows_around(size):
    boxes, found = PLAIN.boxes(*size), parents(PLAIN, *size)
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for row, parent in enumerate(found):
        around = [
            i for i, box in enumerate(boxes)
            if sides[i] > sides[row]
            and (box[:2] <= boxes[row][:2]).all() and (box[2:] >= boxes[row][2:]).all()
        ]
        smallest = min((sides[i] for i in around), default=sides[0])
        assert sides[parent] == smallest
        assert parent == next((i for i in around if sides[i] == smallest), 0)
        assert parent < row or row == 0


def test_flat_windows_take_their_parents_features(backbone, tmp_path):
    pixels = np.full((320, 320, 3), 90, np.uint8)
    pixels[8:40, 8:40] = (200, 30, 30)  # all there is to see, at the top left
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    (plain,), (found,) = (encode(backbone, [path], c) for c in (PLAIN, FLAT))
    boxes = PLAIN.boxes(320, 320)
    seen = (boxes[:, 0] < 40) & (boxes[:, 1] < 40)
    assert 2 < seen.sum() < len(boxes) / 2
    wanted = np.arange(len(boxes))
    for row in np.flatnonzero(~seen):
        wanted[row] = wanted[parents(PLAIN, 320, 320)[row]]
    assert torch.allclose(found.features, plain.features[wanted], atol=1e-6)
    assert not torch.allclose(found.features, plain.features, atol=1e-3)


@pytest.mark.parametrize("batch_size", [1, 9, 1000])
def test_images_of_all_kinds_in_one_run(backbone, tmp_path, batch_size):
    paths = write_images(tmp_path, [(320, 320), (64, 200)])
    blank = tmp_path / "blank.png"
    Image.new("RGB", (320, 320), "grey").save(blank)
    paths = [paths[0], blank, tmp_path / "gone.png", paths[1]]
    plain = encode(backbone, paths, PLAIN, batch_size=batch_size)
    found = encode(backbone, paths, FLAT, batch_size=batch_size)
    assert found[2].reason == "is missing"
    for image, other in zip(found, plain):
        if image.reason is None:
            assert image.features.shape == other.features.shape
    assert torch.equal(found[1].features, found[1].features[:1].expand(39, -1))


@pytest.mark.parametrize("spread", [FLAT_RANGE - 1, FLAT_RANGE])
def test_one_pixel_in_one_channel_decides(backbone, tmp_path, spread, monkeypatch):
    pixels = np.full((32, 64, 3), 90, np.uint8)
    pixels[16, 40, 2] += spread
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    counts, run = [], backbone.encode_patches
    monkeypatch.setattr(
        backbone, "encode_patches",
        lambda patches, **options: counts.append(len(patches)) or run(
            patches, **options
        ),
    )
    cover = CompleteCover(1, skip_flat=True)  # squares of 32 pixels: not resized
    encode(backbone, [path], cover)
    boxes = cover.boxes(64, 32)[1:]
    sees = ((boxes[:, 0] <= 40) & (boxes[:, 2] > 40)).sum()
    assert counts == [1 + (sees if spread == FLAT_RANGE else 0)]


def test_it_is_part_of_the_identity():
    assert FLAT.slug == "cc5-even-flat" and PLAIN.slug == "cc5-even"
    assert CompleteCover.from_dict(FLAT.to_dict()) == FLAT
    old = {k: v for k, v in PLAIN.to_dict().items() if k != "skip_flat"}
    assert CompleteCover.from_dict(old) == PLAIN
    with pytest.raises(ValueError, match="skip_flat=1"):
        CompleteCover(skip_flat=1)
