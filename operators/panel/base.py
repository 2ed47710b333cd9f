"""What the parts of the panel may ask of each other, so that each can be read alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone.operators as foo
from fiftyone.operators import types

if TYPE_CHECKING:
    from .state.search_state import Asked


class PanelBase(foo.Panel):
    """A part of the panel: a tab, or what several tabs show.

    A tab draws itself in ``render_<tab>`` and reads what it shows in ``refresh_<tab>``;
    its events are its ``on_...``. The methods here are those that other parts call;
    one part does each.
    """

    def refresh(self, ctx: foo.ExecutionContext) -> None:
        """Reads what the dataset has, and keeps the form to it: the panel itself."""
        raise NotImplementedError

    def draw_start(self, ctx: foo.ExecutionContext, panel: types.Object) -> bool:
        """Draws the start page where it is needed; returns whether it did."""
        raise NotImplementedError

    def on_compute(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that computes an index: the start page."""
        raise NotImplementedError

    def on_look(self, ctx: foo.ExecutionContext) -> None:
        """Reads what the dataset has now: the start page."""
        raise NotImplementedError

    def search(self, ctx: foo.ExecutionContext) -> None:
        """Searches for what the form says, and shows it: the search tab."""
        raise NotImplementedError

    def on_prompt(self, ctx: foo.ExecutionContext) -> dict[str, bool] | None:
        """Takes what was typed to the tab that is open: the panel itself."""
        raise NotImplementedError

    def clear(self, ctx: foo.ExecutionContext) -> None:
        """Shows what was shown before the search: the search tab."""
        raise NotImplementedError

    def on_clear(self, ctx: foo.ExecutionContext) -> None:
        """The button for :meth:`clear`: the search tab."""
        raise NotImplementedError

    def draw_actions(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws what can be done with the images shown: the results."""
        raise NotImplementedError

    def on_save_view(self, ctx: foo.ExecutionContext) -> None:
        """Opens FiftyOne's form that saves the view: the results."""
        raise NotImplementedError

    def choose_sides(self, ctx: foo.ExecutionContext, keys: list[str]) -> None:
        """Chooses two indexes to compare: the compare tab."""
        raise NotImplementedError

    def render_history(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the recent searches: the history."""
        raise NotImplementedError

    def refresh_history(self, ctx: foo.ExecutionContext) -> None:
        """Reads the recent searches anew: the history."""
        raise NotImplementedError

    def draw_teach(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws what judges the result: the concepts."""
        raise NotImplementedError

    def on_judge(self, ctx: foo.ExecutionContext) -> None:
        """Takes a close-up as good or bad: the concepts."""
        raise NotImplementedError

    def render_concepts(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the concepts of the dataset: the concepts."""
        raise NotImplementedError

    def refresh_concepts(self, ctx: foo.ExecutionContext) -> None:
        """Reads the concepts of the dataset anew: the concepts."""
        raise NotImplementedError

    def concepts(self, ctx: foo.ExecutionContext) -> list[str]:
        """What is typed for the concepts of the dataset: the concepts."""
        raise NotImplementedError

    def remember(self, ctx: foo.ExecutionContext, asked: Asked) -> None:
        """Keeps a search: the history."""
        raise NotImplementedError

    def render_duplicates(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the near duplicates that were found: the duplicates."""
        raise NotImplementedError

    def refresh_duplicates(self, ctx: foo.ExecutionContext) -> None:
        """Reads which near duplicates were found: the duplicates."""
        raise NotImplementedError

    def render_runs(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the runs that go on: the runs."""
        raise NotImplementedError

    def see_runs(self, ctx: foo.ExecutionContext) -> None:
        """Notes that runs are drawn, so that their end is noticed: the runs."""
        raise NotImplementedError

    def is_idle(self, ctx: foo.ExecutionContext) -> bool:
        """Whether nothing runs that the panel would have to show: the runs."""
        raise NotImplementedError

    def on_started(self, ctx: foo.ExecutionContext) -> None:
        """Draws the run that was started: the runs."""
        raise NotImplementedError

    def render_classifiers(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws what is said of classifiers: the part about these."""
        raise NotImplementedError

    def refresh_classifiers(self, ctx: foo.ExecutionContext) -> None:
        """Reads the classifiers of the dataset: the part about these."""
        raise NotImplementedError

    def render_adapted(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the models that were fine-tuned: the part about these."""
        raise NotImplementedError

    def refresh_adapted(self, ctx: foo.ExecutionContext) -> None:
        """Reads the models that were fine-tuned: the part about these."""
        raise NotImplementedError

    def on_tune(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of a fine-tuning: the part about these."""
        raise NotImplementedError
