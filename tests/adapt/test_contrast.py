"""The loss: open_clip's own where all texts differ, and what is said of equal ones."""

import open_clip
import pytest
import torch
from torch.nn import functional as F

from detail_embed.adapt.contrast import contrast, stay

SCALE = torch.tensor(20.0)


def unit(rows, seed):
    return F.normalize(torch.randn(rows, 8, generator=torch.manual_seed(seed)), dim=1)


def test_it_is_clip_loss_where_all_texts_differ():
    images, texts = unit(6, 1), unit(6, 2)
    loss = contrast(images, texts, torch.eye(6, dtype=torch.bool), SCALE)
    expected = open_clip.ClipLoss()(images, texts, SCALE)
    torch.testing.assert_close(loss, expected)


def test_images_of_one_class_are_no_negatives():
    images = unit(1, 1).repeat(3, 1)
    texts = torch.cat([images[:1], -images[:1]])
    fits = torch.tensor([[True, False]] * 3)
    loss = contrast(images, texts, fits, SCALE)
    nobody_else = torch.tensor(3.0).log() / 2  # three share the probability of a text
    torch.testing.assert_close(loss, nobody_else)
    assert open_clip.ClipLoss()(images, texts[[0, 0, 0]], SCALE) > loss


def test_against_a_slow_reference():
    images, texts = unit(5, 1), unit(4, 2)
    fits = torch.rand(5, 4, generator=torch.manual_seed(3)) < 0.4
    fits[0, 0], fits[:, 3] = True, False
    total = []
    for logits, said in (
        (SCALE * images @ texts.T, fits), (SCALE * texts @ images.T, fits.T)
    ):
        rows = [
            torch.stack([row.log_softmax(0)[k] for k in s.nonzero()[:, 0]]).mean()
            for row, s in zip(logits, said) if s.any()
        ]
        total.append(-torch.stack(rows).mean())
    loss = contrast(images, texts, fits, SCALE)
    torch.testing.assert_close(loss, torch.stack(total).mean())


def test_what_may_fit_does_not_count():
    images, texts = unit(3, 1), unit(3, 2)
    fits, unknown = torch.eye(3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool)
    unknown[0, 1] = True
    loss = contrast(images, texts, fits, SCALE, unknown)
    assert loss < contrast(images, texts, fits, SCALE)
    alone = contrast(images[:1], texts[:2], fits[:1, :2], SCALE, unknown[:1, :2])
    assert alone == pytest.approx(0, abs=1e-5)


def test_staying_costs_nothing_and_moving_does():
    images, nouns = unit(5, 1), unit(7, 2)
    before = images @ nouns.T
    assert stay(images, nouns, before, SCALE) == pytest.approx(0, abs=1e-6)
    assert stay(unit(5, 3), nouns, before, SCALE) > 0.1
