"""Farthest first: against the plain way, and what it promises."""

import numpy as np
import pytest

from detail_embed.fiftyone_bridge.curate import k_centre
from detail_embed.fiftyone_bridge.curate.k_centre import Cover


def vectors(n, d=8, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def choose(matrix, n, distance=-1.0, known=()):
    cover = Cover(matrix)
    for _ in cover.add(np.array(known, np.float32).reshape(-1, matrix.shape[1])):
        pass
    for _ in cover.farthest_first(n, distance):
        pass
    return cover


def plainly(matrix, first, n):
    """One by one, all distances each time."""
    nearest, chosen = np.full(len(matrix), -2.0), [first]
    while len(chosen) < n:
        nearest = np.maximum(nearest, matrix @ matrix[chosen[-1]])
        chosen.append(int(nearest.argmin()))
    return chosen


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_blocks_are_the_exact_choice(block, monkeypatch):
    monkeypatch.setattr(k_centre, "_BLOCK", block)
    monkeypatch.setattr(k_centre, "_COLUMNS", 5)
    matrix = vectors(300)
    cover = choose(matrix, 60)
    assert cover.chosen == plainly(matrix, cover.chosen[0], 60)
    distances = 1 - (matrix @ matrix[cover.chosen].T).max(1)
    assert cover.radius == pytest.approx(distances.max(), abs=1e-5)
    assert choose(matrix, 60).chosen == cover.chosen
    assert choose(matrix, 20).chosen == cover.chosen[:20]


def test_the_first_is_in_the_middle():
    matrix = vectors(200) + 3 * vectors(1, seed=1)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    assert choose(matrix, 1).chosen == [int((matrix @ matrix.mean(0)).argmax())]


def test_down_to_a_distance():
    matrix = vectors(300)
    cover = choose(matrix, 300, 0.3)
    assert cover.radius <= 0.3 and 3 < len(cover.chosen) < 300
    assert choose(matrix, len(cover.chosen) - 1).radius > 0.3
    assert choose(matrix, 5, 0.3).chosen == cover.chosen[:5]


def test_away_from_what_is_known():
    matrix = vectors(300)
    cover = choose(matrix[100:], 10, known=matrix[:100])
    nearest = (matrix[100:] @ matrix[:100].T).max(1)
    assert cover.chosen[0] == int(nearest.argmin())
    assert choose(matrix[:50], 50, 0.001, known=matrix[:100]).chosen == []


def test_equal_vectors_are_chosen_last_and_in_order():
    kinds = np.repeat(np.arange(3), [4, 3, 2])
    cover = choose(vectors(3)[kinds], 9)
    assert sorted(cover.chosen) == list(range(9)) and cover.radius == 0
    assert sorted(kinds[cover.chosen[:3]]) == [0, 1, 2]
    assert choose(np.repeat(vectors(1), 5, axis=0), 3).chosen == [0, 1, 2]
    assert len(choose(np.zeros((4, 8), np.float32), 4).chosen) == 4


def test_rankings_take_turns():
    matrix = vectors(200)
    rankings = [np.argsort(-matrix @ axis) for axis in np.eye(8, dtype=np.float32)[:3]]
    cover = Cover(matrix)
    cover.in_turn(rankings, 12, 9)
    assert len(set(cover.chosen)) == 12 and cover.chosen[0] == rankings[0][0]
    for place, row in enumerate(cover.chosen):
        assert row in rankings[place % 3][:21]
    everything = Cover(matrix)
    everything.in_turn(rankings[:2], 200, 300)
    assert sorted(everything.chosen) == list(range(200))
