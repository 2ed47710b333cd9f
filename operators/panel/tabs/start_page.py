"""What the panel shows where there is nothing to search yet."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import indexes, messages, widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import search_state, warm_up
from . import search_output

_POLL = 1000  # milliseconds


class StartPage(PanelBase):
    """Says why there is nothing to search, and what to do."""

    def draw_start(self, ctx: foo.ExecutionContext, panel: types.Object) -> bool:
        """Draws the page where it is needed; returns whether it did."""
        if ctx.dataset is None:
            messages.draw(panel, "Open a dataset first", "info")
            return True
        if not warm_up.is_ready(ctx):
            widgets.note(panel, "loading", "Loading what searches: some seconds, once")
            timer = types.TimerView(interval=_POLL, on_interval=self.on_look)
            panel.view("timer", timer)
            return True
        problem = _problem(ctx)
        if problem:
            messages.draw(panel, problem, "info")
            return True
        if indexes.choices(ctx.dataset) and search_state.read(ctx).brain_key:
            return False  # a new index is chosen when the run that makes it has ended
        messages.add(ctx, panel)
        widgets.note(
            panel,
            "intro",
            "**Find small things in big pictures**\n\nEvery image is cut into patches "
            "of many sizes, and what they show becomes one vector that text finds. "
            f"This dataset has {len(ctx.dataset):,} images and no index yet.",
        )
        is_stale = search_output.found(ctx) is not None
        if is_stale:
            widgets.note(
                panel, "stale",
                "The images shown are what a search found, with an index that was "
                "deleted since. **Clear** shows what was shown before.",
            )
        buttons = widgets.row(panel, "start")
        widgets.button(
            buttons, "compute", "Compute an index", self.on_compute, primary=True
        )
        if is_stale:
            widgets.button(buttons, "clear", "Clear", self.on_clear)
        widgets.button(buttons, "look", "Look again", self.on_look)
        self.render_runs(ctx, panel)
        return True

    @guarded
    def on_compute(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that computes an index."""
        widgets.ask(ctx, "compute_detail_embeddings", self.on_started, **widgets.LONG)

    @guarded
    def on_look(self, ctx: foo.ExecutionContext) -> None:
        """Reads what the dataset has now."""
        if warm_up.is_ready(ctx):
            ctx.dataset.reload()
            self.refresh(ctx)


def _problem(ctx: foo.ExecutionContext) -> str:
    """Why nothing can be indexed; empty where something can."""
    from detail_embed.fiftyone_bridge.samples.images import check_dataset

    try:
        check_dataset(ctx.dataset)
    except ValueError as error:
        return f"Nothing can be searched here: {error}"
    return ""
