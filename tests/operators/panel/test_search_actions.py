"""What can be done with a search: by example, where, save, made again."""

import fiftyone.operators as foo
import pytest

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.history import History
from detail_embed.fiftyone_bridge.search.search import search
from tests.operators.panel.helpers import OPERATORS, OTHER, THING, queries


def test_the_form_of_examples_and_what_comes_back(browser, indexed):
    browser.event("on_example")
    name, params = browser.asked()
    assert name == "search_by_prompts"
    assert params == {"for_panel": True, "brain_key": "detail"}
    sample = indexed.skip(4).first()
    made = foo.execute_operator(
        f"{OPERATORS}/search_by_prompts",
        ctx={"dataset": indexed, "selected": [sample.id], "params": params},
    ).result
    assert browser.event("on_example_given", result=made) is None
    assert browser.shown(indexed).first().id == sample.id
    assert browser.part("search.chosen.forget") and queries(browser) == []
    browser.search(THING, k=4)
    assert len(browser.shown(indexed)) == 4
    browser.event("on_no_example")
    assert browser.shown(indexed).values(
        "id"
    ) == search(Index(indexed, "detail"), indexed, THING, k=4).ids
    browser.event("on_example_given", result=made)
    message = browser.fill(brain_key="detail_global").event("on_index")
    assert "choose them again" in message and browser.get("search.example") is None


@pytest.mark.parametrize("event", ["on_history_row", "on_compare_show", "on_class"])
def test_what_is_shown_by_a_click_is_without_examples(browser, indexed, event):
    """An example that was given before is not mixed into a stored question."""
    browser.search(THING, k=24, method="vectors")
    want = browser.shown(indexed).values("id")
    browser.state["compare"]["prompts"] = [THING]
    browser.state["measured"] = {"brain_keys": ["detail"], "classes": [THING]}
    vector = indexed.first()["detail_embedding"].tolist()
    made = {"vector": vector, "weight": 3, "label": "1 image"}
    browser.event("on_example_given", result=made)
    assert browser.shown(indexed).values("id") != want
    assert browser.event(event, row=0, side="left") is None
    assert browser.shown(indexed).values("id") == want


def test_show_where_with_stored_patches(browser, indexed):
    browser.search(THING, k=3)
    assert browser.event("on_show_where") is None
    names = [name for name, _ in browser.requests]
    assert "reload_dataset" in names
    (field,) = [f for f in browser.active if f.startswith("detail_where")][:1]
    assert len(indexed.exists(field)) <= 3


def test_show_where_without_stored_patches(browser):
    browser.search(THING, brain_key="detail_global", k=3)
    browser.event("on_show_where")
    if browser.asked() is not None:
        assert browser.asked()[0] == "show_where"
        assert browser.asked()[1]["text"] == THING


def test_each_prompt_has_its_place(browser, indexed):
    browser.search(f"{THING}, -a ring, {OTHER}", k=5)
    labels = browser.shown(indexed).values("detail_match.detections.label")
    assert {text for some in labels for text in some} >= {THING, OTHER}
    strip = browser.part("search.strip")["view"]["hits"]
    assert [[one["text"] for one in hit["pictures"]] for hit in strip] == labels
    assert [hit["box"] for hit in strip] == [hit["pictures"][0]["box"] for hit in strip]
    assert browser.event("on_show_where") is None
    shown = browser.shown(indexed)
    assert sorted(shown.distinct("detail_where.detections.label")) == sorted(
        [THING, OTHER]
    )
    browser.event("on_close_ups")
    assert len(browser.shown(indexed)) == sum(map(len, labels))


def test_save_view(browser):
    browser.search(THING)
    browser.event("on_save_view")
    assert browser.asked()[0] == "save_view"


def test_history(browser, indexed):
    for text in (THING, OTHER, "a cone"):
        browser.search(text, k=3)
    assert queries(browser) == ["a cone", OTHER, THING]
    browser.search("a ring", k=9, threshold=0.4, templates="plain", method="patches")
    browser.fill(k=3, threshold=0, templates="own", method="vectors")
    assert browser.event("on_history_row", row=3) is None
    assert browser.prompts == [THING]
    want = search(Index(indexed, "detail"), indexed, THING, k=3).ids
    assert browser.shown(indexed).values("id") == want
    browser.event("on_history_row", row=1)
    assert browser.get("search.which.method") == "patches"
    assert browser.get("search.options") == {
        "templates": "plain", "k": 9, "within": "dataset", "pool": "best"
    }
    assert browser.get("search.threshold") == 0.4
    want = search(
        Index(indexed, "detail"), indexed, "a ring", 9, 0.4, "plain", "patches"
    ).ids
    assert browser.shown(indexed).values("id") == want
    browser.event("on_history_pin", row=3)
    assert queries(browser)[0].endswith(OTHER) and queries(browser)[0] != OTHER
    browser.event("on_history_delete", row=1)
    assert len(queries(browser)) == 3 and queries(browser)[0].endswith(OTHER)
    browser.event("on_history_pin", row=0)
    assert OTHER in queries(browser)


def test_a_search_of_the_history_that_is_gone(browser, indexed):
    browser.search(THING)
    History(indexed)._store.clear()
    for event in ("on_history_row", "on_history_pin"):
        assert "deleted meanwhile" in browser.event(event, row=0)
    assert browser.event("on_history_delete", row=0) is None
    assert "try again" in browser.event("on_history_row", row=0)
    assert "try again" in browser.event("on_history_row")
