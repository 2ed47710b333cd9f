"""The panel as it is opened, and whatever it is sent."""

import sys

import fiftyone as fo
import fiftyone.operators as foo
import pydash
import pytest

from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.found import SCORE
from tests.browser import PANEL, Browser
from tests.operators.panel.helpers import KEYS, OTHER, SETTINGS, TABS, THING, queries


def test_no_dataset(panel):
    browser = Browser(panel, None)
    assert browser.event("on_load") == "Open a dataset first"
    assert browser.names() == {"notice"} and browser.severity == "info"


def test_an_empty_dataset(panel):
    dataset = fo.Dataset()
    try:
        message = Browser(panel, dataset.name).event("on_load")
        assert "has no samples" in message and "add images" in message
    finally:
        dataset.delete()


def test_a_dataset_of_another_medium(panel):
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath="a.fo3d"))
    try:
        browser = Browser(panel, dataset.name)
        message = browser.event("on_load")
        assert message.startswith("Nothing can be searched here") and "3d" in message
        assert browser.names() == {"notice"}
    finally:
        dataset.delete()


class Ends:
    """A thread that ends right after it was asked once."""

    def __init__(self):
        self.answers = [True]

    def is_alive(self):
        return bool(self.answers) and self.answers.pop()


def test_imports_that_end_while_the_panel_is_opened(panel, indexed, monkeypatch):
    warm_up = sys.modules[type(panel).__module__].warm_up
    monkeypatch.setattr(warm_up, "_imports", Ends())
    browser = Browser(panel, indexed.name)
    browser.event("on_load")
    assert browser.names() == {"loading", "timer"}
    browser.event("on_look")
    assert browser.get("search.which.brain_key") == "detail"
    assert "intro" not in browser.names() and "timer" not in browser.names()


def test_no_index_yet(panel, bare):
    browser = Browser(panel, bare.name)
    assert browser.event("on_load") is None
    assert "24 images and no index yet" in str(browser.part("intro"))
    assert browser.part("start.compute") and "tab" not in browser.names()
    browser.event("on_compute")
    assert browser.asked()[0] == "compute_detail_embeddings"
    compute_index.compute(Index.of(bare, "detail"), bare, SETTINGS).finish()
    assert browser.event("on_look") is None
    assert browser.get("search.which.brain_key") == "detail"
    assert browser.part("search.box")


def test_defaults_are_chosen(browser):
    search_form = browser.state["search"]
    assert search_form["which"] == {"brain_key": "detail", "method": "auto"}
    options = {"templates": "own", "k": 25, "within": "dataset", "pool": "best"}
    assert search_form["options"] == options
    assert "prompts" not in search_form and search_form["threshold"] == -100
    assert browser.state["compare"]["which"] == {
        "left": "detail", "right": "detail_global"
    }
    choices = browser.part("search.which.brain_key")["view"]["choices"]
    assert [choice["value"] for choice in choices] == KEYS
    assert browser.message is None and queries(browser) == []


def test_a_page_that_is_loaded_again(browser, indexed):
    browser.search(THING, k=5)
    state = browser.state
    again = Browser(browser.panel, indexed.name)
    again.panel_id = browser.panel_id
    again.state, again.view, again.active = state, browser.view, browser.active
    again.event("on_load")
    assert again.state["search"] == state["search"] and queries(again) == [THING]
    assert again.part("search.buttons.clear")
    assert pydash.get(again.data, "search.histogram")
    again.event("on_clear")
    assert again.view == [] and SCORE not in again.active


def test_a_server_that_was_started_again(browser):
    browser.search(THING, k=5)
    browser.panel_id = "of another server"
    assert browser.event("on_load") is None
    assert browser.summary is None and queries(browser) == [THING]
    assert browser.event("on_clear") is None
    assert not browser.prompts and SCORE not in browser.active


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.slow
def test_every_tab(browser, tab):
    assert browser.tab(tab) is None
    assert {"tab", tab} <= browser.names()
    browser.search(THING)
    assert browser.tab(tab) is None and tab in browser.names()


def test_two_panels_do_not_influence_each_other(panel, browser, indexed):
    other = Browser(panel, indexed.name)
    other.event("on_load")
    before = pydash.clone_deep(other.state)
    browser.search(THING, k=3, brain_key="detail_global")
    browser.search('open "')
    assert browser.message
    assert other.event("on_look") is None  # no message of the other's
    assert other.state == before
    other.search(OTHER, k=5)
    assert len(browser.shown(indexed)) == 3 and len(other.shown(indexed)) == 5
    assert browser.prompts == [THING]
    browser.event("on_clear")
    assert len(other.shown(indexed)) == 5 and SCORE in other.active


def test_another_dataset(browser, bare, indexed):
    browser.search(THING)
    browser.compare(THING)
    browser.dataset_name, browser.view = bare.name, []
    assert browser.event("on_change_dataset") is None
    assert browser.part("start.compute") and browser.summary is None
    browser.dataset_name = indexed.name
    browser.event("on_change_dataset")
    assert browser.get("search.which.brain_key") == "detail"
    assert browser.part("search.box") and not browser.prompts
    assert browser.get("compare.kept") is None
    assert browser.get("compare.which.left") == "detail"


@pytest.mark.parametrize(
    "path", ["compare.strips", "fusers.curve", "evaluate.worst"]
)
def test_what_the_app_copied_into_the_state_is_dropped(browser, path):
    """The App overlays it, entry by entry, with the data that replace it."""
    pydash.set_(browser.state, path, [{"old": 1}, {"old": 2}])
    browser.tab("fusers")
    assert browser.get(path) is None


EVENTS = sorted(
    name
    for name in dir(type(foo.get_operator(PANEL)))
    if name.startswith("on_") and name not in ("on_startup", "on_unload")
)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.slow
def test_no_event_raises_whatever_the_state(panel, indexed, event):
    for state in (
        {"tab": None, "search": None, "compare": None},
        {"tab": "nowhere", "search": {"which": {"brain_key": "nope", "method": "-"}}},
    ):
        odd = Browser(panel, indexed.name)
        odd.state = state
        odd.event(event, row=0, side="left", group="embedded", id="0" * 24)
        if event != "on_poll":  # which draws nothing where nothing runs
            assert odd.output["type"]["properties"]
