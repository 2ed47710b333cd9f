"""The runs that the panel shows."""

import sys

import fiftyone.operators as foo
import pydash
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs import board as run_board
from detail_embed.fiftyone_bridge.runs.board import RunBoard
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from tests.browser import Browser
from tests.operators.panel.helpers import OPERATORS, SETTINGS, THING


def test_a_run_is_shown_while_it_goes_on(browser, indexed):
    def steps():
        yield Progress("12 of 24 images", 0.5)

    run = RunBoard(indexed).track("Train fuser", steps())
    next(run)
    browser.tab("indexes")
    assert browser.part("indexes.bar0")["view"]["name"] == "ProgressView"
    assert browser.part("indexes.timer")
    browser.event("on_poll")
    assert browser.get("saw_runs") is True
    list(run)
    browser.data.clear()
    browser.event("on_poll")
    assert browser.part("indexes.bar0") is None and browser.part("indexes.timer")
    assert browser.get("saw_runs") is False
    assert pydash.get(browser.data, "indexes.list")  # what the run made is read
    with pytest.raises(ValueError):
        list(RunBoard(indexed).track("Export", fail()))
    browser.tab("indexes")
    assert "the disk is full" in str(browser.part("indexes.news"))


def test_the_first_index_is_searched_when_its_run_has_ended(panel, bare):
    browser = Browser(panel, bare.name)
    browser.event("on_load")

    def steps():
        compute_index.compute(Index.of(bare, "detail"), bare, SETTINGS).finish()
        yield Progress("the other index", 0.5)

    run = RunBoard(bare).track("Compute an index", steps())
    browser.event("on_started")
    next(run)  # there is an index, and the run goes on
    browser.event("on_poll")
    assert browser.part("bar0") and browser.part("timer") and not browser.part("tab")
    list(run)
    browser.event("on_poll")
    assert browser.part("tab") and browser.get("search.which.brain_key") == "detail"
    assert browser.search(THING) is None and browser.summary


def test_a_run_is_stopped(browser, indexed, monkeypatch):
    monkeypatch.setattr(run_board, "_EVERY", 0)
    run = RunBoard(indexed).track("Update", [Progress("one", 0.1)] * 9)
    next(run)
    browser.tab("indexes")
    (note,) = RunBoard(indexed).running()
    button = browser.part("indexes.stop0.stop")["view"]
    assert button["params"] == {"id": note.id}
    assert "It stops after this step" in browser.event("on_stop", id=note.id)
    button = browser.part("indexes.stop0.stop")["view"]
    assert button["label"] == "Stops after this step" and button["disabled"]
    assert list(run) == [] and RunBoard(indexed).running() == []
    browser.event("on_poll")
    assert browser.part("indexes.bar0") is None


@pytest.mark.parametrize("way", ["in_app", "delegated"])
def test_an_operator_whose_run_is_stopped_says_so(indexed, monkeypatch, way):
    operator = foo.get_operator(f"{OPERATORS}/update_index")
    package = type(operator).__module__.partition(".operators.")[0]
    progress = sys.modules[f"{package}.operators.shared.progress"]
    monkeypatch.setattr(run_board, "_EVERY", 0)
    ctx = foo.ExecutionContext(
        request_params={"dataset_name": indexed.name, "params": {}},
        executor=Executor(), operator_uri=operator.uri,
    )

    def steps():
        for _ in range(9):
            yield Progress("embedding", 0.1)
            RunBoard(indexed).stop(RunBoard(indexed).running()[0].id)
        return "all of it"

    with pytest.raises(RuntimeError, match="stopped in the panel: start it again"):
        list(getattr(progress, way)(ctx, Run(steps())))
    assert RunBoard(indexed).notes()[0].state == run_board.STOPPED


def fail():
    raise ValueError("the disk is full: free some space")
    yield
