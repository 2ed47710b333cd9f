"""The tabs that compare indexes and show evaluations."""

import sys

import fiftyone.operators as foo
import pydash
import pytest

from detail_embed.fiftyone_bridge.evaluate import runs
from detail_embed.fiftyone_bridge.index import delete
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.search import search
from tests.operators.panel.helpers import KEYS, OPERATORS, OTHER, THING


def test_compare(browser, indexed):
    browser.tab("compare")
    message = browser.event("on_compare_enter")
    assert message.startswith("type what you are looking for")
    assert browser.compare(THING) is None
    assert browser.event("on_compare_enter", text=OTHER, how="not") is None
    assert browser.get("compare.prompts") == [THING, f"-{OTHER}"]
    kept = browser.get("compare.kept")
    query = f"{THING}, -{OTHER}"
    assert kept["left"]["ids"] == search(
        Index(indexed, "detail"), indexed, query, 12, method="vectors"
    ).ids
    assert kept["right"]["ids"] == search(
        Index(indexed, "detail_global"), indexed, query, 12, method="vectors"
    ).ids
    strips = pydash.get(browser.data, "compare.strips")
    for side in ("left", "right"):
        pictures = strips[side]["strip"]
        assert len(pictures) == 12
        for url in pictures.values():
            assert url.startswith("data:image/jpeg;base64,")
        drawn = browser.part(f"compare.strips.{side}.strip")["type"]["properties"]
        assert set(drawn) == set(pictures)
    assert 'quote is not closed' in browser.compare('a "cube')
    assert browser.get("compare.prompts") == [THING, f"-{OTHER}"]
    browser.event("on_compare_show", side="right")
    want = search(Index(indexed, "detail_global"), indexed, query).ids
    assert browser.shown(indexed).values("id") == want
    browser.event("on_compare_open", id=want[0])
    assert ("open_sample", want[0]) in [(n, p.get("id")) for n, p in browser.requests]

    browser.tab("compare")
    browser.event("on_compare_take_away", place=1)
    assert browser.get("compare.prompts") == [THING]
    assert browser.get("compare.kept") != kept
    browser.event("on_compare_take_away", place=0)
    assert browser.get("compare.kept") is None and not browser.get("compare.prompts")


def test_a_slow_comparison_does_not_replace_the_next(browser, monkeypatch):
    tab = sys.modules[type(browser.panel).__module__].CompareTab
    comparing, slow = sys.modules[tab.__module__], []
    keep = comparing._keep

    def overtake(dataset, side):
        if not slow:
            slow.append(side)
            browser.compare(OTHER)
        return keep(dataset, side)

    monkeypatch.setattr(comparing, "_keep", overtake)
    browser.compare(THING)
    assert slow and browser.get("compare.prompts") == [OTHER]


def test_compare_an_index_with_itself(browser):
    browser.state["compare"] = {"which": {"left": "detail", "right": "detail"}}
    browser.state["tab"] = "compare"
    assert "choose two different indexes" in browser.compare(THING)
    assert browser.severity == "error" and "compare" in browser.names()


def test_compare_with_one_index_only(on_mine, mine):
    delete.delete_any(Index(mine, "detail_global"))
    assert on_mine.tab("compare") is None
    assert on_mine.part("compare.start.compute")
    assert on_mine.part("compare.which") is None
    assert on_mine.compare(THING)


def test_an_index_that_was_compared_is_deleted(on_mine, mine):
    on_mine.state["tab"] = "compare"
    on_mine.compare(THING)
    delete.delete_any(Index(mine, "detail_global"))
    assert "choose one of ['detail']" in on_mine.compare(THING)
    message = on_mine.event("on_compare_show", side="right")
    assert "detail_global" in message


@pytest.fixture(scope="package")
def evaluated(indexed):
    evaluate = foo.get_operator(f"{OPERATORS}/evaluate_retrieval")
    evaluate(indexed, KEYS[::-1], "ground_truth", name="measured_1")
    yield indexed
    runs.delete(indexed, "measured_1")


def test_an_evaluation(browser, evaluated):
    assert browser.tab("evaluate") is None
    assert browser.get("evaluations") == ["measured_1"]
    assert "**measured_1**" in browser.get("measured.summary")
    assert browser.part("evaluate.worst") and browser.part("evaluate.plot")
    rows = pydash.get(browser.data, "evaluate.worst")
    assert [row["label"] for row in rows] == browser.get("measured.classes")
    assert browser.event("on_class", row=1) is None
    browser.tab("search")
    (prompt,) = browser.prompts
    assert rows[1]["label"] in prompt and browser.get("search.threshold") == -100
    want = search(
        Index.of(evaluated, browser.get("search.which.brain_key")), evaluated, prompt,
        method="vectors",
    ).ids
    assert browser.shown(evaluated).values("id") == want
    assert "changed meanwhile: try again" in browser.event("on_class", row=99)
    browser.state["evaluate"]["name"] = "gone"
    assert "gone" in browser.event("on_evaluation")


def test_nothing_was_evaluated(on_mine):
    assert on_mine.tab("evaluate") is None
    assert on_mine.part("evaluate.intro") and on_mine.part("evaluate.worst") is None
    on_mine.event("on_evaluate")
    assert on_mine.asked()[0] == "evaluate_retrieval"
    assert "try again" in on_mine.event("on_class", row=0)


def test_a_prompt_goes_to_the_tab_that_is_open(browser):
    """Also where it comes from the box of the tab before, which is still drawn."""
    browser.tab("compare")
    before = browser.state | {"tab": "search"}
    assert browser.part("compare.box")["view"]["on_enter"].endswith("on_prompt")
    browser.event("on_prompt", text="a red cube", how="instead")
    assert browser.get("compare.prompts") == ["a red cube"]
    browser.state = before  # of an event that was sent before the tab was opened
    browser.event("on_options")
    assert browser.part("compare") and not browser.part("search")
    browser.tab("search")
    browser.event("on_prompt", text="a ball", how="instead")
    assert browser.prompts == ["a ball"] and browser.part("search")
