"""The world of ``benchmarks/adapt.py``: its words, and how it is judged."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _adapt import kinds, world  # noqa: E402
from _adapt.judge import TOP, overlap, scores  # noqa: E402


def test_the_groups_of_words_have_nothing_in_common():
    groups = world.groups()
    words = [word for group in groups.values() for word in group]
    assert len(words) == len(set(words)) == len(kinds.NEW) + 2 * world.OLD
    assert groups == world.groups()


def test_a_folder_without_the_renders_says_how_to_get_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="npm pack"):
        kinds.add_new_kinds(tmp_path)


def test_labels_captions_and_what_is_shown_say_the_same(tmp_path):
    boxes = [world.Box(0, "key", (0, 0, 9, 9)), world.Box(1, "map", (0, 0, 9, 9)),
             world.Box(1, "key", (9, 9, 9, 9)), world.Box(1, "key", (5, 5, 9, 9))]
    part = world.Part([tmp_path / "a.jpg", tmp_path / "b.jpg"], boxes, [])
    assert part.labels == [["key"], ["key", "map"]]
    assert part.shows(["map", "key"]).tolist() == [[False, True], [True, True]]


def test_the_best_vector_of_an_image_counts():
    vectors = np.eye(4, dtype=np.float32).reshape(2, 2, 4)
    assert scores(vectors, np.eye(4)[:3]).tolist() == [[1, 0], [1, 0], [0, 1]]


def test_overlap_of_rankings():
    one = np.arange(4 * TOP, dtype=float)[None]
    assert overlap(one, one) == 1
    assert overlap(one, -one) == 0
