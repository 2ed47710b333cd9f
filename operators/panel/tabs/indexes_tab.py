"""The tab of indexes: what they hold and lack, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import widgets
from ..base import PanelBase
from ..indexes import PATIENCE
from ..messages import guarded
from ..state import search_state
from . import search_output

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.facts import IndexFacts

_COLUMNS = {
    "brain_key": "Index",
    "what": "What it is",
    "images": "Images",
    "size": "Size",
}
_GROUPS = {"embedded": "Embedded", "missing": "Missing", "failed": "Failed"}
_REASONS = 5  # that are shown
_POLL = 2000  # milliseconds


class IndexesTab(PanelBase):
    """A list of indexes; one that is clicked shows its coverage."""

    def render_indexes(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        """Draws the tab."""
        part = widgets.column(panel, "indexes")
        buttons = widgets.row(part, "buttons")
        widgets.button(
            buttons, "compute", "Compute an index", self.on_compute, primary=True
        )
        self.render_runs(ctx, part)
        widgets.table(
            part,
            "list",
            _COLUMNS,
            [
                ("update", "sync", "Embed what is missing", self.on_update),
                ("rename", "edit", "Rename", self.on_rename),
                ("export", "download", "Export vectors (Parquet)", self.on_export),
                ("delete", "delete", "Delete", self.on_delete_index),
            ],
            on_click_row=self.on_index_row,
        )
        shown = ctx.panel.get_state("coverage")
        if shown:
            self._draw_coverage(part, shown)
        else:
            widgets.note(part, "hint", "Click an index to see what it lacks.")
        if ctx.panel.get_state("is_counting"):
            timer = types.TimerView(interval=_POLL, on_interval=self.poll_counts)
            part.view("counting", timer)

    def refresh_indexes(self, ctx: foo.ExecutionContext) -> None:
        """Reads the indexes, and the coverage of the one that is chosen."""
        facts = self._list(ctx)
        keys = [index.brain_key for index in facts]
        chosen = (ctx.panel.get_state("coverage") or {}).get("brain_key")
        search_state.change(
            ctx,
            {
                "index_keys": keys,
                "coverage": _cover(ctx, chosen) if chosen in keys else None,
            },
        )

    def poll_counts(self, ctx: foo.ExecutionContext) -> None:
        """Lists the indexes of many images again, which are being counted."""
        self._list(ctx)

    def _list(self, ctx: foo.ExecutionContext) -> list[IndexFacts]:
        from detail_embed.fiftyone_bridge.index import facts as index_facts

        facts = index_facts.facts(ctx.dataset, seconds=PATIENCE)
        ctx.panel.set_data("indexes.list", [_row(index) for index in facts])
        is_counting = not all(index.is_counted for index in facts)
        ctx.panel.set_state("is_counting", is_counting)
        return facts

    @guarded
    def on_index_row(self, ctx: foo.ExecutionContext) -> None:
        """Shows the coverage of the index that was clicked."""
        key = widgets.clicked(ctx, ctx.panel.get_state("index_keys"))
        ctx.panel.set_state("coverage", _cover(ctx, key))

    @guarded
    def on_group(self, ctx: foo.ExecutionContext) -> None:
        """Shows the images of a group in the grid."""
        from detail_embed.fiftyone_bridge.index import coverage
        from detail_embed.fiftyone_bridge.index.index import Index

        shown, group = ctx.panel.get_state("coverage"), ctx.params["group"]
        if not shown:
            raise ValueError("click an index in the list first")
        arguments = [Index(ctx.dataset, shown["brain_key"]), ctx.dataset]
        if group == "failed":
            arguments.append(ctx.params.get("reason"))
        view = getattr(coverage, group)(*arguments)
        search_output.forget(ctx)
        ctx.ops.set_view(view.view())

    @guarded
    def on_update(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that embeds what is missing."""
        self._ask_about(ctx, "update_index", self.on_started, **widgets.LONG)

    @guarded
    def on_rename(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that renames an index."""
        self._ask_about(ctx, "rename_index")

    @guarded
    def on_export(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that writes the vectors to a file."""
        self._ask_about(ctx, "export_vectors")

    @guarded
    def on_delete_index(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that deletes an index."""
        self._ask_about(ctx, "delete_index")

    @guarded
    def on_learn_words(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that teaches the index one's words."""
        self._ask_words(ctx, "learn my words")

    @guarded
    def on_forget_words(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that undoes it."""
        self._ask_words(ctx, "forget my words")

    def _ask_words(self, ctx: foo.ExecutionContext, method: str) -> None:
        shown = ctx.panel.get_state("coverage")
        if not shown:
            raise ValueError("click an index in the list first")
        widgets.ask(
            ctx, "adapt_backbone", self.on_look, brain_key=shown["brain_key"],
            method=method, **widgets.WHOLE,
        )

    def _ask_about(
        self, ctx: foo.ExecutionContext, operator: str,
        on_success: Callable | None = None, **values: object,
    ) -> None:
        key = widgets.clicked(ctx, ctx.panel.get_state("index_keys"))
        values = {"brain_key": key, **widgets.WHOLE, **values}
        widgets.ask(ctx, operator, on_success or self.on_look, **values)

    def _draw_coverage(self, part: types.Object, shown: dict[str, Any]) -> None:
        widgets.note(part, "title", f"**{shown['brain_key']}**\n\n{shown['facts']}")
        groups = widgets.row(part, "groups")
        for group, label in _GROUPS.items():
            widgets.button(
                groups, group, f"{label}: {shown[group]:,}", self.on_group,
                params={"group": group}, disabled=not shown[group],
            )
        if shown["can_learn"]:
            words = widgets.row(part, "words")
            widgets.button(words, "learn", "Learn my words", self.on_learn_words)
            if shown["learned"]:
                widgets.button(
                    words, "forget", "Forget the learned words", self.on_forget_words
                )
        for number, (reason, count) in enumerate(shown["reasons"]):
            widgets.button(
                part, f"reason{number}", f"{count:,} × {reason}"[:90], self.on_group,
                params={"group": "failed", "reason": reason},
            )


def _cover(ctx: foo.ExecutionContext, brain_key: str) -> dict[str, Any]:
    from detail_embed.fiftyone_bridge.index import coverage
    from detail_embed.fiftyone_bridge.index import facts as index_facts
    from detail_embed.fiftyone_bridge.index.index import Index

    index = Index(ctx.dataset, brain_key)
    found, facts = coverage.coverage(index, ctx.dataset), index_facts.of_index(index)
    return {
        "brain_key": brain_key,
        "facts": _describe(facts),
        "can_learn": facts.kind == index_facts.OURS and bool(facts.searches),
        "learned": facts.learned,
        "embedded": found.embedded,
        "missing": found.missing,
        "failed": found.failed,
        "reasons": list(found.reasons.items())[:_REASONS],
    }


def _row(facts: IndexFacts) -> dict[str, str]:
    sizes = [facts.vector_bytes, facts.feature_bytes]
    return {
        "brain_key": facts.brain_key,
        "what": _short(facts),
        "images": _count(facts),
        "size": _megabytes(sum(filter(None, sizes))),
    }


def _count(facts: IndexFacts) -> str:
    if facts.images is not None:
        return f"{facts.images:,}"
    return "?" if facts.is_counted else "counting …"


def _short(facts: IndexFacts) -> str:
    if not facts.searches:
        return "cut short: update it"
    if facts.kind == "whole image":
        return "whole images"
    if facts.kind == "boxes of a label field":
        return "boxes of labels"
    if facts.kind == "other":
        return facts.space or ""
    words = f", {facts.learned.partition(',')[0]}" if facts.learned else ""
    if facts.vectors > 1:
        return f"{facts.vectors} vectors{words}"
    return f"one vector ({facts.fuser}){words}"


def _describe(facts: IndexFacts) -> str:
    searches = ", ".join(facts.searches) or "nothing yet"
    lines = [f"Space `{facts.space}`, made {facts.created:%d %b %Y}; by {searches}."]
    if facts.vector_bytes is not None:
        text = f"Vectors: {_megabytes(facts.vector_bytes)}"
        if facts.dim:
            text += f", {facts.dim} dimensions"
        if facts.feature_bytes:
            text += f"; patch features: {_megabytes(facts.feature_bytes)}"
        lines.append(f"{text}; kept by {facts.backend}.")
    if facts.learned:
        lines.append(f"It knows {facts.learned}.")
    if facts.reason:
        lines.append(f"Fuser: {facts.reason}.")
    return "\n\n".join(lines)


def _megabytes(count: int) -> str:
    from detail_embed.storage.whole_files import megabytes

    return megabytes(count).replace(" ", widgets.NO_BREAK)
