"""Near duplicates in grades: what is kept, and what could go."""

import numpy as np
import pytest

from detail_embed.fiftyone_bridge.curate import grades
from detail_embed.fiftyone_bridge.curate.grades import LIMITS, find_duplicates


def at(*angles):
    """Unit vectors in a plane, so that distances add up as angles do."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def angle(distance):
    return float(np.arccos(1 - distance))


SAME, CLOSE, RELATED = map(angle, LIMITS.values())


def found(matrix, contents=None, threshold=LIMITS["related"]):
    contents = contents or [None] * len(matrix)
    return [
        (one.row, one.kept, one.grade)
        for one in find_duplicates(matrix, contents, threshold)
    ]


def test_each_grade_has_its_limit():
    matrix = at(0, 0.9 * SAME, 0.9 * CLOSE, -0.9 * RELATED, np.pi)
    assert found(matrix) == [(1, 0, "same"), (2, 0, "close"), (3, 0, "related")]
    assert found(matrix, threshold=LIMITS["close"]) == [
        (1, 0, "same"), (2, 0, "close")]
    assert found(matrix, threshold=0) == []
    one = find_duplicates(matrix, [None] * 5, 0.3)[1]
    assert one.distance == pytest.approx(1 - np.cos(0.9 * CLOSE), abs=1e-6)
    assert found(at(0, 1.5 * RELATED), threshold=2) == [(1, 0, "related")]


def test_copies_of_a_worse_image_are_the_same_too():
    matrix = at(0, 0.9 * RELATED, 0.9 * RELATED + 0.5 * SAME)
    assert found(matrix) == [(2, 1, "same"), (1, 0, "related")]


def test_images_are_not_linked_in_chains():
    step = 0.9 * SAME
    assert found(at(*(step * np.arange(5))), threshold=LIMITS["same"]) == [
        (1, 0, "same"), (3, 2, "same")]


def test_an_image_goes_to_the_nearest_better_one():
    matrix = at(0, 1.1 * SAME, 0.7 * SAME)
    assert found(matrix)[0] == (2, 1, "same")


def test_equal_contents_are_the_same_whatever_the_vectors():
    matrix = at(0, np.pi, 2, 0.5)
    assert found(matrix, ["a", "b", None, "a"], 0) == [(3, 0, "same")]
    assert found(matrix, [None] * 4, 0) == []


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_blocks_do_not_matter(block, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    expected = found(rows)
    monkeypatch.setattr(grades, "_BLOCK", block)
    assert found(rows) == expected and len(expected) > 150
    kept = sorted(set(range(200)) - {row for row, _, _ in expected})
    cosines = rows[kept] @ rows[kept].T - 2 * np.eye(len(kept))
    assert (1 - cosines > LIMITS["related"]).all()
    assert all(better < row for row, better, _ in expected)
