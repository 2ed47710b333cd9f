"""The searches that a dataset remembers: order, pins, limit, other processes."""

import itertools
from pathlib import Path

import fiftyone as fo
import pytest

from detail_embed.fiftyone_bridge.search import history
from detail_embed.fiftyone_bridge.search.history import Entry, History

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def empty():
    dataset = fo.Dataset(persistent=True)  # another process that ends would delete it
    yield dataset
    dataset.delete()


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock is one second later."""
    ticks = itertools.count(1000)
    monkeypatch.setattr(history.time, "time", lambda: float(next(ticks)))


def add(kept, *queries):
    for query in queries:
        kept.add(Entry(query, "detail"))


def queries(kept):
    return [entry.query for entry in kept.entries()]


def test_the_newest_first(empty, clock):
    kept = History(empty)
    assert kept.entries() == []
    add(kept, "a", "b", "c")
    assert queries(kept) == ["c", "b", "a"]
    assert [entry.time for entry in kept.entries()] == [1002.0, 1001.0, 1000.0]


def test_what_was_asked_comes_back_whole(empty):
    asked = Entry("-a 'x', 🚲 خوذة", "few", "patches", 7, 2.5, "plain")
    kept = History(empty)
    kept.add(asked)
    (entry,) = kept.entries()
    assert entry.id == asked.id and kept.get(asked.id) == entry
    assert entry.time > 0 and not entry.pinned
    facts = (entry.query, entry.brain_key, entry.method, entry.k, entry.threshold)
    assert facts == ("-a 'x', 🚲 خوذة", "few", "patches", 7, 2.5)
    assert entry.templates == "plain"


def test_the_same_search_again_moves_up(empty, clock):
    kept = History(empty)
    add(kept, "a", "b", "a")
    assert queries(kept) == ["a", "b"]
    kept.add(Entry("b", "detail", k=26, threshold=2.5))
    assert queries(kept) == ["b", "a"]  # how much is shown does not matter
    assert (kept.entries()[0].k, kept.entries()[0].threshold) == (26, 2.5)
    kept.add(Entry("a", "few"))
    kept.add(Entry("a", "few", method="patches"))
    kept.add(Entry("a", "few", templates="plain"))
    assert queries(kept) == ["a", "a", "a", "b", "a"]


def test_pinned_first_and_still_so_when_made_again(empty, clock):
    kept = History(empty)
    add(kept, "a", "b", "c")
    pinned = Entry("a", "detail").id
    kept.pin(pinned)
    assert queries(kept) == ["a", "c", "b"]
    assert [entry.pinned for entry in kept.entries()] == [True, False, False]
    add(kept, "a", "d")
    assert queries(kept) == ["a", "d", "c", "b"] and kept.get(pinned).pinned
    kept.pin(pinned, False)
    assert queries(kept) == ["d", "a", "c", "b"]


def test_the_oldest_are_forgotten_but_not_the_pinned(empty, clock, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 3)
    kept = History(empty)
    add(kept, "a", "b")
    kept.pin(Entry("a", "detail").id)
    add(kept, "c", "d", "e")
    assert queries(kept) == ["a", "e", "d", "c"]


def test_delete(empty):
    kept = History(empty)
    add(kept, "a", "b")
    gone = Entry("a", "detail").id
    kept.delete(gone)
    kept.delete(gone)
    assert queries(kept) == ["b"]
    for use in (kept.get, kept.pin):
        with pytest.raises(ValueError, match="deleted meanwhile"):
            use(gone)


def test_datasets_do_not_share(empty):
    other = fo.Dataset()
    try:
        add(History(other), "elsewhere")
        assert History(empty).entries() == []
    finally:
        other.delete()


@pytest.mark.slow
def test_another_process_reads_and_writes_it(empty, fresh_python):
    empty.persistent = True
    add(History(empty), "from here")
    code = """
import sys
sys.path.insert(0, sys.argv[2])
import fiftyone as fo
from detail_embed.fiftyone_bridge.search.history import Entry, History
kept = History(fo.load_dataset(sys.argv[1]))
assert [entry.query for entry in kept.entries()] == ["from here"]
kept.pin(kept.entries()[0].id)
kept.add(Entry("from there", "detail"))
"""
    ran = fresh_python(code, empty.name, str(ROOT))
    assert ran.returncode == 0, ran.stderr
    assert queries(History(empty)) == ["from here", "from there"]
    assert History(empty).entries()[0].pinned
