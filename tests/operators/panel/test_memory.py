"""What the server knows of each open panel."""

import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def memory(panel, monkeypatch):
    memory = sys.modules[f"{type(panel).__module__}.state.memory"]
    monkeypatch.setattr(memory, "_panels", type(memory._panels)())
    return memory


def event(id):
    return SimpleNamespace(panel_id=id)


def test_each_panel_has_its_own(memory):
    memory.of(event("one"))["found"] = 1
    assert memory.of(event("one")) == {"found": 1}
    assert memory.of(event("two")) == {}


def test_the_panel_that_was_used_longest_ago_is_forgotten(memory, monkeypatch):
    monkeypatch.setattr(memory, "_MOST", 2)
    for id in ("one", "two", "one", "three"):
        memory.of(event(id))[id] = True
    assert memory.of(event("one")) == {"one": True}
    assert memory.of(event("two")) == {}
