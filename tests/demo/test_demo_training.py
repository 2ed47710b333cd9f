"""The demo backbone's captions, crops, loss and a training run in small."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detail_embed.clver_ds import concepts
from detail_embed.demo import captions, train
from detail_embed.demo.crops import (
    TEST_BACKGROUNDS,
    TEST_VIEWS,
    TRAIN_BACKGROUNDS,
    TRAIN_VIEWS,
    CropSampler,
    Recipe,
)


@pytest.fixture(scope="module")
def sampler():
    known = list(concepts("solids"))[:12] + list(concepts("things"))[:12]
    return CropSampler(Recipe(), known, TRAIN_VIEWS, TRAIN_BACKGROUNDS,
                       fields_per_kind=1)


def test_test_poses_and_backgrounds_are_not_trained_on():
    assert not set(TRAIN_VIEWS) & set(TEST_VIEWS)
    assert not set(TRAIN_BACKGROUNDS) & set(TEST_BACKGROUNDS)


def test_unseen_concepts_are_never_shown_or_named():
    assert all(not c.unseen for c in train.known_concepts())
    unseen = {c.name for c in concepts("solids") if c.unseen}
    partial = [p for phrases, _ in captions.attributes() for p in phrases]
    assert unseen and not [p for p in partial for u in unseen if u in p]


def test_wordings_hold_every_word_of_the_name():
    for concept in (concepts("solids")[0], concepts("things")[3]):
        for text in captions.wordings(concept):
            assert all(word in text for word in concept.name.split())


def test_attributes_fit_what_they_say():
    red_cube = next(c for c in concepts("solids") if c.name == "red metal cube")
    fitting = [p[0] for p, match in captions.attributes() if match(red_cube)]
    assert sorted(fitting) == sorted([
        "cube", "metal cube", "red cube", "metal object", "red metal object",
        "red object",
    ])


def test_batches_are_deterministic_and_mixed(sampler):
    first, again = (sampler.batch(np.random.default_rng(4), 120)
                    for _ in range(2))
    assert np.array_equal(first[0], again[0])
    crops, shares = first
    assert crops.shape == (120, 3, 64, 64) and crops.dtype == np.uint8
    assert shares.shape == (120, 24) and 0 <= shares.min() <= shares.max() <= 1
    named = (shares > 0).sum(1)
    assert (named == 0).any() and (named == 1).any() and (named > 1).any()


def test_share_is_the_visible_part_of_the_crop():
    solid = [c for c in concepts("solids") if c.shape == "sphere"][:1]
    recipe = Recipe(fill=(0.5, 0.5), extra=(1.0,), empty=0.0, offset=0.0,
                    things=0.0)
    sampler = CropSampler(recipe, solid, TRAIN_VIEWS, ("gradient",),
                          fields_per_kind=1)
    _, shares = sampler.batch(np.random.default_rng(0), 5)
    assert shares == pytest.approx(0.5 * np.sqrt(np.pi) / 2, rel=0.05)


def test_loss_is_smallest_where_the_targets_are():
    shares = torch.eye(4, 3)
    nothing = ~shares.any(1)
    right = 20 * torch.eye(4)
    wrong = right.roll(1, 0)
    losses = [train.contrastive_loss(x, shares, nothing) for x in (right, wrong)]
    assert losses[0] < 1e-3 < losses[1]
    unused = train.to_image_loss(right, torch.zeros(4, 4))
    assert torch.isfinite(unused)


def test_learning_rate_rises_then_falls_to_zero():
    config = train.TrainConfig(steps=100, warmup=10)
    rates = [train.learning_rate(s, config) for s in range(101)]
    assert np.argmax(rates) in (9, 10)
    assert rates[0] < rates[9] and rates[100] == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_a_short_run_is_reproducible(tmp_path):
    config = train.TrainConfig(steps=2, batch=8, bank=12, attributes=4)
    for name in ("a", "b"):
        result = train.train(config, tmp_path / f"{name}.safetensors", "cpu")
        assert result["crops"] == 16 and np.isfinite(result["loss"])
    first, second = (load_file(tmp_path / f"{n}.safetensors") for n in "ab")
    assert first["text_projection"].dtype == torch.float16
    assert all(torch.equal(first[k], second[k]) for k in first)
