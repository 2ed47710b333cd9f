"""What goes away while the panel is open."""

import sys
import time

import fiftyone as fo
import pydash
import pymongo
import pymongo.errors
import pytest
from pymongo.collection import Collection
from pymongo.cursor import Cursor

from detail_embed.fiftyone_bridge.index import delete
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.found import SCORE
from tests.browser import Browser
from tests.operators.panel.helpers import OTHER, THING


def test_an_index_that_was_deleted(on_mine, mine):
    on_mine.search(THING, k=3)
    delete.delete_any(Index(mine, "detail_global"))
    message = on_mine.fill(brain_key="detail_global").event("on_enter")
    assert "choose one of ['detail']" in message and on_mine.severity == "error"
    on_mine.event("on_look")
    assert on_mine.get("search.which.brain_key") == "detail"
    assert on_mine.search(OTHER, k=3) is None and len(on_mine.shown(mine)) == 3
    delete.delete(Index(mine, "detail"))
    on_mine.event("on_enter")
    assert on_mine.message and on_mine.part("start.compute")
    on_mine.event("on_look")
    assert on_mine.get("search.which.brain_key") is None
    assert on_mine.message is None and on_mine.part("start.compute")


@pytest.mark.parametrize("tab", ["search", "indexes"])
@pytest.mark.parametrize("change", ["deleted", "renamed"])
def test_a_dataset_that_is_gone(panel, scenes, tab, change):
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(next(scenes.glob("*/*")))))
    dataset.add_sample_field("seen", fo.BooleanField)
    browser = Browser(panel, dataset.name)
    browser.state["tab"] = tab
    browser.event("on_load")
    if change == "deleted":
        dataset.delete()
    else:
        dataset.name = f"{dataset.name}-renamed"
    try:
        for event in ("on_load", "on_tab", "on_enter", "on_poll", "on_compare_again"):
            message = browser.event(event)
            assert "Open another dataset" in message
            assert browser.dataset_name in message
            assert browser.names() == {"notice"}
    finally:
        if change == "renamed":
            dataset.delete()


def test_a_dataset_that_was_renamed_and_is_known_by_its_id(on_mine, mine):
    """The App sends the id along once it knows it."""
    on_mine.request["dataset_id"] = str(mine._doc.id)
    mine.name = f"{mine.name}-renamed"
    assert on_mine.search(THING, k=3) is None and len(on_mine.shown(mine)) == 3


def test_samples_that_were_deleted_after_indexing(on_mine, mine):
    on_mine.search(THING)
    ids = on_mine.shown(mine).values("id")
    on_mine.state["tab"] = "compare"
    assert on_mine.compare(THING) is None
    mine.delete_samples(ids[:2])
    assert on_mine.tab("compare") is None
    assert on_mine.event("on_compare_open", id=ids[0]) is None
    assert on_mine.tab("search") is None
    assert on_mine.event("on_enter") is None
    assert on_mine.shown(mine).values("id") == ids[2:]
    assert "**6** of 6 images" in on_mine.summary


def test_samples_without_a_vector_are_told(on_mine, mine):
    mine.add_sample(fo.Sample(filepath=mine.first().filepath))
    on_mine.search(THING)
    assert "1 have no vector" in on_mine.summary
    on_mine.view = mine.skip(8).view()._serialize()
    message = on_mine.search(OTHER, within="view")
    assert "has a vector in the index: embed them first" in message


def test_an_index_whose_model_is_missing_here(on_mine, mine):
    results = mine.load_brain_results("detail")
    results.config.model = "of-another-machine"
    results.save_config()
    message = on_mine.search(THING)
    assert "of-another-machine" in message and "Compute the index again" in message
    assert on_mine.search(THING, brain_key="detail_global") is None


def refuse(*args, **kwargs):
    raise pymongo.errors.AutoReconnect(
        "localhost:27017: [Errno 111] Connection refused, Topology Description: "
        "<TopologyDescription id: 1, servers: [<ServerDescription ...>]>"
    )


@pytest.mark.parametrize(
    "event", ["on_load", "on_look", "on_enter", "on_clear", "on_tab",
              "on_compare_again", "on_history_row", "on_change_dataset", "on_poll",
              "on_index_row"]
)
@pytest.mark.slow
def test_a_database_that_does_not_answer(browser, monkeypatch, event):
    browser.search(THING, k=3)
    browser.compare(THING)
    state = pydash.clone_deep(browser.state)
    with monkeypatch.context() as gone:
        for name in ("find_one", "find", "aggregate"):
            gone.setattr(Collection, name, refuse)
        assert "The database does not answer" in browser.event(event, row=0)
    assert browser.names() == {"notice", "look"} and browser.severity == "error"
    browser.state = state
    assert browser.event("on_look") is None and browser.part("search.box")
    assert browser.search(THING) is None


@pytest.mark.parametrize("event", ["on_enter", "on_poll", "poll_idle"])
@pytest.mark.slow
def test_a_database_that_is_gone_is_told_soon(browser, monkeypatch, event):
    """FiftyOne itself would wait 30 s."""
    messages = sys.modules[type(browser.panel).__module__].messages
    client = pymongo.MongoClient("mongodb://127.0.0.1:1")
    with monkeypatch.context() as gone:
        gone.setattr(messages.foodm, "get_db_conn", lambda: client["gone"])
        start = time.monotonic()
        assert "The database does not answer" in browser.event(event)
        assert time.monotonic() - start < 5
    client.close()
    assert browser.search(THING, k=3) is None


@pytest.mark.parametrize(
    "kind, call",
    [(Collection, "find_one"), (Collection, "find"), (Collection, "aggregate"),
     (Collection, "update_one"), (Cursor, "next"), (Cursor, "__next__")],
)
def test_a_database_that_fails_in_the_midst(browser, monkeypatch, kind, call):
    with monkeypatch.context() as gone:
        gone.setattr(kind, call, refuse)
        message = browser.search(THING, k=3)
    assert message is None or "The database does not answer" in message
    assert browser.search(OTHER, k=3) is None and browser.part("search.box")


def test_a_result_whose_index_is_gone_can_be_cleared(on_mine, mine):
    before = mine.limit(5).view()._serialize()
    on_mine.view = before
    on_mine.search(THING, k=3)
    for key in ("detail_global", "detail"):
        delete.delete_any(Index(mine, key))
    assert "compute an index first" in on_mine.search(OTHER)
    assert "**Clear**" in str(on_mine.part("stale"))
    assert on_mine.part("start.clear") and on_mine.part("start.compute")
    assert on_mine.event("on_clear") is None
    assert on_mine.shown(mine).values("id") == mine.limit(5).values("id")
    assert SCORE not in on_mine.active
    assert on_mine.part("stale") is None and on_mine.part("start.clear") is None
