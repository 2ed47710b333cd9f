"""Tells what a person entered from what the App only says again.

FiftyOne 1.22 sends the event of an input twice when a person changes it, and once
more wherever Python, or another browser of the same server, changed its value. The
state that comes with it is older than the value, and a list from which something was
taken away still has its old length in there.
"""

from __future__ import annotations

import threading
from typing import Any

import fiftyone.operators as foo
import pydash

from . import memory, search_state

INPUTS = (
    "tab",
    *(search_state.PATHS[name] for name in search_state.DEFAULTS),
    search_state.PATHS["brain_key"],
    "compare.which.left",
    "compare.which.right",
    "evaluate.name",
)
_SENT = {"panel_id", "panel_state", "__method__"}
_lock = threading.Lock()


def is_echo(ctx: foo.ExecutionContext) -> bool:
    """Whether an event tells nothing new; else puts what it tells into the state."""
    if not _is_change(ctx):
        return False
    path, value = ctx.params["path"], ctx.params["value"]
    with _lock:
        known = _of(ctx)
        if path in known and known[path] == value:
            return True
        known[path] = value
    pydash.set_(ctx.panel_state, path, value)
    return False


def values(ctx: foo.ExecutionContext) -> dict[str, Any]:
    """The values of all inputs, as the state has them."""
    return {path: pydash.get(ctx.panel_state, path) for path in INPUTS}


def know(ctx: foo.ExecutionContext, before: dict[str, Any]) -> None:
    """Notes the inputs that an event changed.

    Args:
        ctx: of the panel, after the event
        before: the values of the inputs before the event; none to note all
    """
    after = values(ctx)
    changed = {
        path: after[path]
        for path in INPUTS
        if path not in before or before[path] != after[path]
    }
    with _lock:
        _of(ctx).update(changed)


def _is_change(ctx: foo.ExecutionContext) -> bool:
    return set(ctx.params) - _SENT == {"path", "value"}


def _of(ctx: foo.ExecutionContext) -> dict[str, Any]:
    return memory.of(ctx).setdefault("inputs", {})
