"""Known things in windows of the user's images, and how well names find them."""

import numpy as np
import pytest
import torch

from detail_embed.adapt.crops import Cut
from detail_embed.adapt.known_things import Things, other_nouns
from detail_embed.adapt.towers import Towers
from detail_embed.clver_ds import things

TEXTS = ["Cat Face", "an apple", "red metal cube"]


@pytest.fixture(scope="module")
def cut():
    """Windows of noise, each of one grey."""
    greys = np.arange(5, dtype=np.uint8)[:, None, None, None] * 40
    pixels = np.broadcast_to(greys, (5, 3, 64, 64)).copy()
    return Cut(pixels, np.arange(5), [[]] * 5, [], "made")


@pytest.mark.slow
def test_they_are_none_of_the_users_and_none_that_training_keeps(cut):
    known = Things(cut, TEXTS)
    assert "red apple" in known.names
    own = things.names()[0]
    assert own in known.names and own not in Things(cut, [own]).names
    assert not set(other_nouns(["table"])) & {*things.names(), "table"}


@pytest.mark.slow
def test_each_covers_a_part_of_a_window(cut):
    known, again = Things(cut, TEXTS), Things(cut, TEXTS)
    assert len(known) == 2 * len(known.names)
    pixels = known.batch(range(len(known)))
    assert pixels.shape == (len(known), 3, 64, 64) and pixels.dtype == torch.uint8
    assert torch.equal(pixels, again.batch(range(len(again))))
    greys = set()
    for picture in pixels.numpy():
        grey = np.bincount(picture[0].ravel()).argmax()  # what most of it shows
        changed = (picture != grey).any(axis=0)
        assert 0.02 < changed.mean() < 0.5
        rows, columns = np.nonzero(changed)
        assert max(np.ptp(rows), np.ptp(columns)) < round(0.7 * 64)
        greys.add(int(grey))
    assert {0, 40, 80, 120, 160} <= greys


class Three(Things):
    """Three things, in two windows each."""

    def __init__(self):
        self.names = ["a", "b", "c"]


class Model:
    """Has the vectors that it is given for all windows."""

    def __init__(self, rows):
        self.rows = torch.tensor(rows)

    def all_texts(self, texts, templates):
        return torch.eye(3)

    def all_images(self, windows):
        return self.rows


def test_the_rank_is_among_all_windows_but_its_own():
    """By hand, for three things and two windows without any."""
    model = Model([[3.0, 0, 5], [0, 2, 0], [0, 0, 4],
                   [8.0, 0, 0], [5, 3, 0], [0, 0, 6]])
    others = torch.tensor([[9.0, 2, 0], [4, 1, 1]])
    wanted = [(1 / 4 + 1 / 2) / 2, (1 / 2 + 1) / 2, (1 / 2 + 1) / 2]
    np.testing.assert_allclose(Three().found(model, others), wanted)


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_a_model_that_tells_nothing_apart_finds_nothing(value):
    model = Model([[value] * 3] * 6)
    found = Three().found(model, torch.full((94, 3), value))
    np.testing.assert_allclose(found, [1 / 99] * 3)


@pytest.mark.slow
def test_the_demo_model_finds_them_far_above_chance(cut):
    towers, known = Towers("detail-demo", None, "cpu"), Things(cut, TEXTS)
    found = known.found(towers, towers.all_images(cut))
    assert found.shape == (len(known.names),) and found.mean() > 0.3
    assert ((found > 0) & (found <= 1)).all()
