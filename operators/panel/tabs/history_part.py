"""The searches that were made on this dataset, below the search tab."""

from __future__ import annotations

import time

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import copies, memory, search_state

_ENTRIES, _ROWS = "history", "search.history"
_SHOWN = 10


class HistoryPart(PanelBase):
    """Lists searches; one can be made again, pinned and deleted."""

    def render_history(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the list, if there is something in it."""
        if not memory.of(ctx).get(_ENTRIES):
            return
        widgets.table(
            part,
            "history",
            {"query": "Recent searches", "index": "Index", "when": ""},
            [
                ("pin", "push_pin", "Pin or unpin", self.on_history_pin),
                ("delete", "delete", "Delete", self.on_history_delete),
            ],
            on_click_row=self.on_history_row,
        )

    def remember(self, ctx: foo.ExecutionContext, asked: search_state.Asked) -> None:
        """Keeps a search."""
        from detail_embed.fiftyone_bridge.search.history import Entry

        self._history(ctx).add(
            Entry(
                asked.text, asked.brain_key, asked.method, asked.k, asked.threshold,
                asked.templates,
            )
        )
        self.refresh_history(ctx)

    def refresh_history(self, ctx: foo.ExecutionContext) -> None:
        """Reads the list anew."""
        entries = self._history(ctx).entries()[:_SHOWN]
        memory.of(ctx)[_ENTRIES] = [entry.id for entry in entries]
        ctx.panel.set_data(
            _ROWS,
            [
                {
                    "query": ("📌 " if entry.pinned else "") + entry.query[:60],
                    "index": entry.brain_key,
                    "when": _when(entry.time),
                }
                for entry in entries
            ],
        )

    @guarded
    def on_history_row(self, ctx: foo.ExecutionContext) -> None:
        """Makes the search of a row again."""
        entry = self._history(ctx).get(_clicked(ctx))
        search_state.write(
            ctx,
            prompts=search_state.split([entry.query]),
            brain_key=entry.brain_key,
            method=entry.method,
            k=entry.k,
            threshold=_or_off(entry.threshold),
            templates=entry.templates,
            example=None,
        )
        self.search(ctx)

    @guarded
    def on_history_pin(self, ctx: foo.ExecutionContext) -> None:
        """Pins the search of a row, or lets it go."""
        history, id = self._history(ctx), _clicked(ctx)
        history.pin(id, not history.get(id).pinned)
        self.refresh_history(ctx)

    @guarded
    def on_history_delete(self, ctx: foo.ExecutionContext) -> None:
        """Forgets the search of a row."""
        self._history(ctx).delete(_clicked(ctx))
        copies.drop(ctx, _ROWS)
        self.refresh_history(ctx)

    def _history(self, ctx: foo.ExecutionContext):
        from detail_embed.fiftyone_bridge.search.history import History

        return History(ctx.dataset)


def _clicked(ctx: foo.ExecutionContext) -> str:
    return widgets.clicked(ctx, memory.of(ctx).get(_ENTRIES))


def _when(seconds: float) -> str:
    age = time.time() - seconds
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if age >= unit:
            return f"{age / unit:.0f} {name} ago"
    return "now"


def _or_off(threshold: float | None) -> float:
    return search_state.OFF if threshold is None else threshold
