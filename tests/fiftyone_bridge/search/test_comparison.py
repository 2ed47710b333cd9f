"""The same query on two indexes, against a slow count of who is where."""

import fiftyone as fo
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search.compare import compare
from detail_embed.fiftyone_bridge.search.search import search

KEYS = ("detail_global", "detail")
THING = "red metal cube"


@pytest.fixture(scope="module")
def indexed(scenes):
    dataset = load_clver_ds(scenes)
    settings = Settings(
        backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features=False
    )
    compute_index.compute(
        Index(dataset, "detail"), dataset, settings, also_global=True
    ).finish()
    yield dataset
    dataset.delete()


def place(ids, id):
    """Slowly."""
    for number in range(len(ids)):
        if ids[number] == id:
            return number + 1
    return None


@pytest.mark.parametrize("query", [THING, f"{THING}, -2 * blue sphere"])
@pytest.mark.parametrize("k", [1, 5, 24, 1000])
def test_ranks_and_only_against_a_slow_count(indexed, query, k):
    first, second = compare(indexed, query, KEYS, k)
    all_of = {key: search(
        Index(indexed, key), indexed, query, 1000
    ).ids for key in KEYS}
    for side, other in ((first, KEYS[1]), (second, KEYS[0])):
        shown = all_of[side.brain_key][:k]
        assert side.found.ids[: len(side.ranks)] == shown
        assert side.ranks == [place(all_of[other], id) for id in shown]
        assert side.only == [id not in all_of[other][:k] for id in shown]
    assert (first.brain_key, second.brain_key) == KEYS


def test_two_indexes_differ_here(indexed):
    first, second = compare(indexed, THING, KEYS, 5)
    assert any(first.only) and sum(first.only) == sum(second.only)


def test_within_a_view(indexed):
    view = indexed.limit(9)
    first, second = compare(view, THING, KEYS, 4)
    assert set(first.found.ids) == set(second.found.ids) == set(view.values("id"))
    assert all(1 <= rank <= 9 for rank in first.ranks + second.ranks)


def test_an_image_that_one_index_lacks(indexed):
    best = search(Index(indexed, "detail"), indexed, THING, 1).ids[0]
    sample = indexed[best]
    vector = sample["detail_global_embedding"]
    sample["detail_global_embedding"] = None
    sample.save()
    try:
        first, second = compare(indexed, THING, KEYS, 30)
        assert second.found.ids[0] == best and second.ranks[0] is None
        assert second.only[0] and best not in first.found.ids
        assert len(first.ranks) == 23 and len(second.ranks) == 24
    finally:
        sample["detail_global_embedding"] = vector
        sample.save()


def test_many_images_of_a_small_first_side(indexed):
    """``only`` counts by the first k that were asked for, not by what came."""
    ids = indexed.values("id")
    vectors = indexed.values("detail_global_embedding")
    gone = dict.fromkeys(ids[3:])
    indexed.set_values("detail_global_embedding", gone, key_field="id")
    try:
        first, second = compare(indexed, THING, KEYS, 12)
        assert len(first.ranks) == 3
        shown = second.found.ids[:12]
        assert first.only == [id not in shown for id in first.found.ids]
        assert second.only == [id not in ids[:3] for id in shown]
    finally:
        pairs = dict(zip(ids, vectors))
        indexed.set_values("detail_global_embedding", pairs, key_field="id")


@pytest.mark.parametrize(
    "keys, message",
    [
        (["detail", "detail"], "choose two different indexes"),
        (["detail"], "choose two different indexes"),
        (["detail", "nope"], "unknown brain key 'nope'.*choose one of"),
        ([None, None], "choose two different indexes"),
    ],
)
def test_two_indexes_are_needed(indexed, keys, message):
    with pytest.raises(ValueError, match=message):
        compare(indexed, THING, keys)


@pytest.mark.parametrize("query", ["", "-a bicycle", '"open'])
def test_bad_queries(indexed, query):
    with pytest.raises(ValueError):
        compare(indexed, query, KEYS)


def test_no_images():
    empty = fo.Dataset()
    try:
        with pytest.raises(ValueError, match="no samples"):
            compare(empty, THING, KEYS)
    finally:
        empty.delete()
