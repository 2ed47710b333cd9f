"""The Detail Search panel: ask, see where, compare, curate."""

from __future__ import annotations

import logging
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.categories import Categories
from pymongo.errors import PyMongoError

from . import indexes, messages, widgets
from .messages import guarded
from .state import copies, echoes, judgements, memory, search_state, warm_up
from .tabs import search_output
from .tabs.adapted_part import AdaptedPart
from .tabs.classifiers_part import ClassifiersPart
from .tabs.compare_tab import CompareTab
from .tabs.curate_tab import CurateTab
from .tabs.duplicates_part import DuplicatesPart
from .tabs.evaluate_tab import EvaluateTab
from .tabs.fusers_tab import FusersTab
from .tabs.history_part import HistoryPart
from .tabs.indexes_tab import IndexesTab
from .tabs.results_part import ResultsPart
from .tabs.runs_part import RunsPart
from .tabs.search_tab import SearchTab
from .tabs.start_page import StartPage
from .tabs.teach_part import TeachPart

logger = logging.getLogger(__name__)

_HELP = (
    "Find small things in big pictures: type what you are looking for.\n\nThe axis of "
    "matches counts standard deviations from the mean of all images of the index (the "
    "z-score): how far an image stands out. The same number means the same in every "
    "search and in **Curate**."
)
_TAB = "tab"
TABS = {
    "search": "Search",
    "compare": "Compare",
    "curate": "Curate",
    "indexes": "Indexes",
    "fusers": "Fusers",
    "evaluate": "Evaluate",
}


class DetailSearch(
    StartPage,
    SearchTab,
    ResultsPart,
    HistoryPart,
    TeachPart,
    CompareTab,
    CurateTab,
    ClassifiersPart,
    DuplicatesPart,
    IndexesTab,
    FusersTab,
    AdaptedPart,
    EvaluateTab,
    RunsPart,
):
    """Search by prompts, and what to do with what is found.

    Each tab is a class of its own, in a file of its own. The state of a panel is in
    the browser, and FiftyOne keeps it with the layout: browsers of one App server
    share it as they share the view; browsers of different servers do not.
    """

    @property
    def config(self) -> foo.PanelConfig:
        """Name, label and place."""
        return foo.PanelConfig(
            name="detail_search",
            label="Detail Search",
            icon="pageview",  # of a plugin's panel the App draws Material's icons alone
            category=Categories.CURATE,
            surfaces="grid",
            help_markdown=_HELP,
        )

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Does what an event asks for, once, and draws the panel."""
        if ctx.params.get("panel_id") is None:
            return {"problem": "A panel is opened, not run: use 'Open Detail Search'"}
        messages.look_for_database(ctx)
        if not messages.has_database(ctx):
            ctx.ops.show_panel_output(self.render(ctx))
            return None
        if echoes.is_echo(ctx):  # not drawn either: its state is old
            return None
        method = ctx.params.get("__method__")
        if self._is_waiting(ctx, method):  # a message stays
            return None
        if method in ("on_load", "on_tab"):
            memory.of(ctx)[_TAB] = ctx.panel.get_state(_TAB)
        before = {} if method == "on_load" else echoes.values(ctx)
        copies.drop(ctx)
        result = super().execute(ctx)
        echoes.know(ctx, before)
        return result

    def _is_waiting(self, ctx: foo.ExecutionContext, method: str | None) -> bool:
        """Whether an event of a timer found nothing new."""
        if method == "poll_offers":
            return warm_up.is_loading(ctx, search_state.read(ctx).brain_key)
        return method == "poll_idle" and self.is_idle(ctx)

    @guarded
    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """Fills in what a new panel starts with, and what has changed meanwhile."""
        if ctx.dataset is not None and warm_up.is_ready(ctx):
            self.refresh(ctx)

    def on_change_dataset(self, ctx: foo.ExecutionContext) -> None:
        """Starts anew with another dataset."""
        search_output.drop(ctx)
        judgements.drop(ctx)
        search_state.write(ctx, prompts=[])
        ctx.panel.set_state({"search": {}, "compare": {}})
        self.on_load(ctx)

    @guarded
    def on_tab(self, ctx: foo.ExecutionContext) -> None:
        """Reads what another tab shows."""
        if warm_up.is_ready(ctx):
            self._refresh_tab(ctx)

    @guarded
    def on_prompt(self, ctx: foo.ExecutionContext) -> dict[str, bool] | None:
        """Takes what was typed to the tab that is open.

        Until that is drawn, the box of the tab before is there to type into.
        """
        is_compared = _open_tab(ctx) == "compare"
        return (self.on_compare_enter if is_compared else self.on_enter)(ctx)

    def refresh(self, ctx: foo.ExecutionContext) -> None:
        """Reads what the dataset has, and keeps the form to it."""
        values = {
            name: value
            for name, value in search_state.DEFAULTS.items()
            if ctx.panel.get_state(search_state.PATHS[name]) is None
        }
        indexes.forget_outdated(ctx.dataset)
        captions = indexes.captions(ctx.dataset)
        search_state.change(ctx, {_TAB: _open_tab(ctx), "captions": captions})
        keys = list(indexes.choices(ctx.dataset))
        if search_state.read(ctx).brain_key not in keys:
            values["brain_key"] = keys[0] if keys else None
        if values:
            search_state.write(ctx, **values)
        self.choose_sides(ctx, keys)
        self._refresh_tab(ctx)
        warm_up.load(ctx.dataset, search_state.read(ctx).brain_key)

    def _refresh_tab(self, ctx: foo.ExecutionContext) -> None:
        getattr(self, f"refresh_{_open_tab(ctx)}")(ctx)
        self.see_runs(ctx)

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        """Draws the panel; nothing is computed here."""
        panel = types.Object()
        try:
            self._draw(ctx, panel)
        except Exception as error:
            logger.exception("the panel could not be drawn")
            panel = types.Object()
            messages.draw(panel, messages.explain(error), "error")
            if isinstance(error, PyMongoError):
                widgets.button(panel, "look", "Look again", self.on_look)
        return types.Property(
            panel,
            view=types.GridView(
                orientation="vertical",
                gap=2,
                componentsProps={
                    "grid": {
                        "sx": {
                            "padding": "8px 16px 16px",
                            "gridTemplateColumns": "minmax(0, 1fr)",
                            "overflowWrap": "break-word",
                        }
                    }
                },
            ),
        )

    def _draw(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        if not messages.has_database(ctx):
            messages.add(ctx, panel)
            widgets.button(panel, "look", "Look again", self.on_look)
            return
        if self.draw_start(ctx, panel):
            return
        narrow = {"tab": {"sx": {"minWidth": 0, "minHeight": 48, "px": 1}}}
        tabs = types.TabsView(componentsProps=narrow)
        for name, label in TABS.items():
            tabs.add_choice(name, label=label)
        panel.enum(_TAB, list(TABS), view=tabs, on_change=self.on_tab)
        messages.add(ctx, panel)
        getattr(self, f"render_{_open_tab(ctx)}")(ctx, panel)


def _open_tab(ctx: foo.ExecutionContext) -> str:
    """The tab that was opened last: the state of an event that took long is older."""
    return memory.of(ctx).get(_TAB) or ctx.panel.get_state(_TAB) or "search"
