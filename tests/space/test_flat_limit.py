"""The limit of detail: chosen on one half, judged on the other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.space.flat_limit import (
    KEEP,
    MIN_IMAGES,
    Sampled,
    fit_limit,
    windows_of,
)

N, P, D, K = 120, 20, 32, 40


def unit(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(*shape, generator=generator), dim=-1)


@pytest.fixture
def words():
    return unit(K, D, seed=1), unit(K, D, seed=2)


@pytest.fixture
def sampled(words):
    """One window of an image shows a word; half of the others have no detail."""
    features = 0.2 * unit(N, P, D, seed=3)
    for i in range(N):
        features[i, 5] = words[i // (N // 2)][i % K]
    spreads = torch.full((N, P), 150, dtype=torch.uint8)
    spreads[:, P // 2 :] = 60
    return Sampled(features, torch.ones(N, P, dtype=torch.bool), spreads)


def test_windows_that_show_nothing_are_left_out(sampled, words):
    found = fit_limit(sampled, *words)
    assert 60 < found.levels <= 150
    assert found.share == 0.5
    assert KEEP <= found.kept <= 1
    assert found.images == N // 2
    assert found.sentence.startswith("50% of the windows show too little")


def test_none_is_left_out_where_all_count(sampled, words):
    sampled.spreads[:, 5] = 1
    sampled.spreads[:, :5] = 200
    found = fit_limit(sampled, *words)
    assert (found.levels, found.share) == (0, 1.0)
    assert found.sentence.startswith("All windows are encoded: ")


def test_the_other_half_has_a_say(sampled, words):
    sampled.spreads[N // 2 :, 5] = 1  # there the words are in windows without detail
    found = fit_limit(sampled, *words)
    assert found.levels == 0
    assert "a search keeps" in found.sentence


def test_the_whole_image_and_padding_never_count(sampled, words):
    padded = Sampled(
        torch.cat([sampled.features, torch.zeros(N, 9, D)], 1),
        torch.cat([sampled.mask, torch.zeros(N, 9, dtype=torch.bool)], 1),
        torch.cat([sampled.spreads, torch.zeros(N, 9, dtype=torch.uint8)], 1),
    )
    assert fit_limit(padded, *words) == fit_limit(sampled, *words)
    sampled.spreads[:, 0] = 0
    assert fit_limit(sampled, *words).share == 0.5


def test_too_little_to_measure_by(sampled, words):
    few = sampled[: MIN_IMAGES - 1]
    assert f"it takes {MIN_IMAGES} images" in fit_limit(few, *words).sentence
    assert "too few of the words" in fit_limit(sampled, words[0], words[1][:7]).sentence
    with pytest.raises(ValueError, match="words"):
        fit_limit(sampled, words[0][:, 1:], words[1])
    with pytest.raises(ValueError, match="none of the images"):
        Sampled.of([])


def test_windows_are_those_of_the_engine(scenes, tmp_path):
    backbone, cover = Backbone.load(DEMO, device="torch"), CompleteCover(3)
    plain = tmp_path / "plain.png"
    Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(plain)
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    paths = [*sorted((scenes / "images").iterdir())[:2], bad, plain]
    images = list(windows_of(paths, backbone, cover))
    sampled = Sampled.of(images)
    assert sampled.mask.sum(1).tolist() == [len(image[0]) for image in images]
    assert not sampled.spreads[2].any()
    good = [(i, path) for i, path in enumerate(paths) if path != bad]
    for (features, _), other in zip(
        images, iter_patch_features(good, backbone, cover), strict=True
    ):
        torch.testing.assert_close(features, other.features, atol=1e-5, rtol=0)


def test_windows_that_are_left_out_are_not_encoded(scenes, monkeypatch):
    backbone, cover = Backbone.load(DEMO, device="torch"), CompleteCover(5)
    path = min((scenes / "images").iterdir())
    ((_, spreads),) = windows_of([path], backbone, cover)
    levels = int(spreads.float().median())
    counts, run = [], backbone.encode_patches
    monkeypatch.setattr(
        backbone, "encode_patches",
        lambda patches, **more: counts.append(len(patches)) or run(patches, **more),
    )
    list(iter_patch_features([(0, path)], backbone, replace(cover, skip_flat=levels)))
    left = spreads >= levels
    left[0] = True
    assert counts == [left.sum()]
