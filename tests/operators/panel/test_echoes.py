"""What a person entered, told from what the App only says again."""

import sys
from types import SimpleNamespace

import pytest

LEFT, TAB = "compare.which.left", "tab"


@pytest.fixture
def echoes(panel):
    return sys.modules[type(panel).__module__].echoes


@pytest.fixture
def send(request):
    """Makes the events of one panel."""

    def make(path=None, value=None, **state):
        params = {"panel_id": request.node.nodeid, "panel_state": state}
        params["__method__"] = "on_compare_again"
        if path:
            params |= {"path": path, "value": value}
        return SimpleNamespace(
            panel_id=request.node.nodeid, params=params, panel_state=state
        )

    return make


def test_the_same_change_counts_once(echoes, send):
    assert not echoes.is_echo(send(LEFT, "a"))
    assert echoes.is_echo(send(LEFT, "a"))
    assert not echoes.is_echo(send(LEFT, "b"))
    assert not echoes.is_echo(send(LEFT, "a"))  # chosen again


def test_inputs_do_not_influence_each_other(echoes, send):
    assert not echoes.is_echo(send(LEFT, "x"))
    assert not echoes.is_echo(send(TAB, "x"))
    other = send(LEFT, "x")
    other.panel_id += " of somebody else"
    assert not echoes.is_echo(other)


def test_a_change_is_put_into_the_older_state(echoes, send):
    event = send(LEFT, "a", compare={"which": {"left": "b"}, "kept": 2})
    assert not echoes.is_echo(event)
    assert event.panel_state["compare"] == {"which": {"left": "a"}, "kept": 2}


def test_a_button_is_no_change(echoes, send):
    for _ in range(2):
        click = send(tab="search")
        assert not echoes.is_echo(click)
    row = send(LEFT, 1)
    row.params["row"] = 3
    assert not echoes.is_echo(row) and not echoes.is_echo(row)


def test_what_an_event_sets_comes_back_as_an_echo(echoes, send):
    event = send(tab="search", compare={"which": {"left": "a"}})
    before = echoes.values(event)
    event.panel_state["compare"]["which"]["left"] = "b"
    echoes.know(event, before)
    assert echoes.is_echo(send(LEFT, "b", compare={"which": {"left": "a"}}))
    assert not echoes.is_echo(send(TAB, "search"))  # the event left it alone


def test_a_slow_search_does_not_replace_the_next(browser, monkeypatch):
    """The next prompt is entered and answered while the first is searched for."""
    tab = sys.modules[type(browser.panel).__module__].SearchTab
    samples, slow = tab._samples, []

    def overtake(self, ctx, asked):
        if not slow:
            slow.append(ctx)
            browser.event("on_enter", text="b", how="also")
            slow.append(browser.view)
        return samples(self, ctx, asked)

    monkeypatch.setattr(tab, "_samples", overtake)
    browser.event("on_enter", text="a", how="instead")
    assert slow[1] and browser.view == slow[1]
    assert browser.prompts == ["a", "b"]
    assert not any(name == "set_view" for name, _ in browser.requests)
