"""The tab that searches by prompts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fiftyone as fo
import fiftyone.core.view as fov
import fiftyone.operators as foo
from fiftyone.operators import types

from .. import indexes, queries, widgets
from ..base import PanelBase
from ..messages import guarded, say
from ..state import judgements, search_state, suggested, warm_up
from . import result_words, search_output, video_output

_POLL = 1000  # milliseconds
_METHODS = {
    "auto": "Auto",
    "vectors": "By its vectors",
    "reranked": "Re-ranked by patches",
    "patches": "By all patches",
}
_TEMPLATES = {
    "own": "Ours, 4",
    "simple-7": "CLIP's, 7",
    "openai-80": "CLIP's, 80",
    "plain": "None",
}


class SearchTab(PanelBase):
    """Index, prompts, options; what was found is in the grid."""

    def render_search(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        """Draws the tab."""
        asked = search_state.read(ctx)
        part = widgets.column(panel, search_state.ROOT)
        offers = suggested.offers(ctx, asked.brain_key)
        widgets.prompt_box(
            part, asked.prompts, [*self.concepts(ctx), *offers.words], offers.examples,
            self.on_prompt, self.on_take_away,
        )
        if asked.example:
            self._draw_example(part, asked.example)
        self._draw_buttons(part, ctx, asked)
        self._draw_which(part, ctx, asked)
        if ctx.panel.get_state("search.shows_options"):
            self._draw_options(part, ctx, asked)
        self.draw_teach(ctx, part)
        search_output.draw(
            part, ctx, self.on_threshold, self.on_histogram, self.on_open,
            self.on_judge, judgements.of(ctx, asked).images,
        )
        self.render_history(ctx, part)
        self.render_concepts(ctx, part)
        if warm_up.is_loading(ctx, asked.brain_key):
            timer = types.TimerView(interval=_POLL, on_interval=self.poll_offers)
            part.view("timer", timer)

    def poll_offers(self, ctx: foo.ExecutionContext) -> None:
        """Draws what can be offered, which was read beside the panel."""
        search_state.change(ctx, {"captions": indexes.captions(ctx.dataset)})

    def refresh_search(self, ctx: foo.ExecutionContext) -> None:
        """Reads the list of searches anew; a page that was loaded anew needs all."""
        self.refresh_history(ctx)
        self.refresh_concepts(ctx)
        search_output.refresh(ctx)

    @guarded
    def on_enter(self, ctx: foo.ExecutionContext) -> dict[str, bool]:
        """Searches for what was typed, instead of the prompts or together with them.

        Returns:
            whether it was taken: if not, it stays in the box
        """
        before = prompts = search_state.read(ctx).prompts
        text = ctx.params.get("text", "")
        if text:
            prompts = search_state.combine(before, text, ctx.params["how"])
        search_state.write(ctx, prompts=prompts)
        try:
            self.search(ctx)
        except Exception:
            if search_state.read(ctx).prompts == prompts:
                search_state.write(ctx, prompts=before)
            raise
        return {"taken": True}

    @guarded
    def on_take_away(self, ctx: foo.ExecutionContext) -> None:
        """Searches without a prompt; without the last one, nothing is searched."""
        prompts = list(search_state.read(ctx).prompts)
        del prompts[ctx.params["place"] : ctx.params["place"] + 1]
        search_state.write(ctx, prompts=prompts)
        if prompts or search_state.read(ctx).example:
            self._again(ctx)
        else:
            self.clear(ctx)

    @guarded
    def on_index(self, ctx: foo.ExecutionContext) -> None:
        """Takes a way to search that the chosen index has."""
        asked = search_state.read(ctx)
        warm_up.load(ctx.dataset, asked.brain_key)
        if asked.method not in indexes.methods(ctx.dataset, asked.brain_key):
            search_state.write(ctx, method="auto")
        if asked.example:
            search_state.write(ctx, example=None)
            say(ctx, "The examples were for another index: choose them again")
        if asked.prompts:
            self._again(ctx)

    @guarded
    def on_example(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that takes selected images, boxes or a picture."""
        brain_key = search_state.read(ctx).brain_key
        widgets.ask(
            ctx, "search_by_prompts", self.on_example_given, for_panel=True,
            brain_key=brain_key,
        )

    @guarded
    def on_example_given(self, ctx: foo.ExecutionContext) -> None:
        """Searches by what was given, mixed with the prompts."""
        search_state.write(ctx, example=ctx.params["result"])
        self.search(ctx)

    @guarded
    def on_no_example(self, ctx: foo.ExecutionContext) -> None:
        """Forgets the examples."""
        search_state.write(ctx, example=None)
        if search_state.read(ctx).prompts:
            self._again(ctx)
        else:
            self.clear(ctx)

    @guarded
    def on_option(self, ctx: foo.ExecutionContext) -> None:
        """Searches again with the new option."""
        self._again(ctx)

    @guarded
    def on_threshold(self, ctx: foo.ExecutionContext) -> None:
        """Shows what is above the new threshold; the lowest is none."""
        asked = search_state.read(ctx).threshold
        if asked is not None and asked <= search_output.require(ctx)["low"]:
            search_state.write(ctx, threshold=search_state.OFF)
        self._again(ctx)

    @guarded
    def on_histogram(self, ctx: foo.ExecutionContext) -> None:
        """Takes the bar that was clicked as the threshold."""
        start = (ctx.params.get("range") or [None])[0]
        if start is not None:
            search_state.write(ctx, threshold=round(float(start), 1))
            self._again(ctx)

    @guarded
    def on_open(self, ctx: foo.ExecutionContext) -> None:
        """Opens the image of a close-up."""
        ctx.ops.open_sample(id=search_output.in_grid(ctx, ctx.params["id"]))

    @guarded
    def on_options(self, ctx: foo.ExecutionContext) -> None:
        """Shows or hides the options."""
        shown = ctx.panel.get_state("search.shows_options")
        ctx.panel.set_state("search.shows_options", not shown)

    @guarded
    def on_clear(self, ctx: foo.ExecutionContext) -> None:
        """Shows what was shown before the search, without scores."""
        self.clear(ctx)

    def search(self, ctx: foo.ExecutionContext) -> None:
        """Searches for what the form says, and shows it."""
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.search.methods import for_examples
        from detail_embed.fiftyone_bridge.search.search import search

        asked = search_state.read(ctx)
        if asked.brain_key is None:
            raise ValueError("this dataset has no index yet: compute one first")
        turn = search_state.take_turn(ctx)
        method = for_examples(asked.method) if asked.example else asked.method
        index, samples = Index(ctx.dataset, asked.brain_key), self._samples(ctx, asked)
        query = queries.ask(ctx, asked)
        are_videos = video_output.are_searched(index, samples)
        if are_videos:
            answer = video_output.search(index, samples, query, asked, method)
        else:
            answer = search(
                index, samples, query, asked.k, asked.threshold, asked.templates, method
            )
        if asked.text and not asked.example:
            answer = replace(answer, text=asked.text)  # also where it was judged
        if not search_state.is_turn(ctx, turn):
            return
        view, before = answer.shown, _before(ctx)
        ctx.ops.set_view(view)  # first: the App draws its panels anew for the rest
        if are_videos:
            video_output.keep(ctx, asked, answer, view, before)
        else:
            search_output.keep(ctx, asked, answer, view, before)
        if isinstance(query, str):
            self.remember(ctx, asked)
        if not answer.ids:
            say(ctx, result_words.none_stands_out(asked, answer), "warning")

    def clear(self, ctx: foo.ExecutionContext) -> None:
        """Empties the form, and shows what was shown before the search."""
        found = search_output.found(ctx)
        search_state.take_turn(ctx)
        search_state.write(
            ctx, prompts=[], threshold=search_state.OFF, example=None
        )
        if found:
            ctx.ops.set_view(search_output.stored(ctx, "before"))
        search_output.forget(ctx)

    def _again(self, ctx: foo.ExecutionContext) -> None:
        if search_output.found(ctx):
            self.search(ctx)

    def _samples(
        self, ctx: foo.ExecutionContext, asked: search_state.Asked
    ) -> fo.Dataset | fov.DatasetView:
        """What to search in; not in the result of the search before."""
        return ctx.dataset if asked.within == "dataset" else _before(ctx)

    def _draw_which(
        self, part: types.Object, ctx: foo.ExecutionContext, asked: search_state.Asked
    ) -> None:
        captions = ctx.panel.get_state("captions") or {}
        which = widgets.fields(part, "which")
        widgets.dropdown(
            which, "brain_key", indexes.choices(ctx.dataset), "Index", self.on_index,
            caption=captions.get(asked.brain_key),
        )
        known = indexes.methods(ctx.dataset, asked.brain_key)
        widgets.dropdown(
            which, "method", {name: _METHODS[name] for name in known}, "Search",
            self.on_option,
        )

    def _draw_example(self, part: types.Object, example: dict[str, Any]) -> None:
        weight = example["weight"]
        times = "" if weight == 1 else f", weight {weight:g}"
        chosen = widgets.row(part, "chosen")
        widgets.note(
            chosen, "text", f"Like {example['label']}{times}",
            componentsProps=widgets.NARROW,
        )
        widgets.button(chosen, "forget", "Forget", self.on_no_example)

    def _draw_buttons(
        self, part: types.Object, ctx: foo.ExecutionContext, asked: search_state.Asked
    ) -> None:
        buttons = widgets.row(part, "buttons")
        widgets.button(buttons, "example", "By example", self.on_example)
        if search_output.found(ctx):
            self.draw_actions(ctx, buttons)
        if asked.prompts or search_output.found(ctx):
            widgets.button(buttons, "clear", "Clear", self.on_clear)
        shown = ctx.panel.get_state("search.shows_options")
        label = "Fewer options" if shown else "Options"
        widgets.button(buttons, "options", label, self.on_options)

    def _draw_options(
        self, part: types.Object, ctx: foo.ExecutionContext, asked: search_state.Asked
    ) -> None:
        options = widgets.fields(part, "options")
        are_videos = video_output.are_videos(ctx.dataset)
        label = "Videos to show" if are_videos else "Images to show"
        options.int("k", label=label, min=1, on_change=self.on_option)
        widgets.dropdown(
            options, "within", {"dataset": "The whole dataset", "view": "This view"},
            "Search in", self.on_option,
        )
        widgets.dropdown(
            options, "templates", _TEMPLATES, "Sentences around a prompt",
            self.on_option, caption=result_words.templates(asked.templates),
        )
        if are_videos:
            widgets.dropdown(
                options, "pool", video_output.POOLS, "A video is as good as",
                self.on_option,
            )


def _before(ctx: foo.ExecutionContext) -> fov.DatasetView:
    """The view in the grid; where that is a result, the view before it."""
    is_result = search_output.is_shown(ctx)
    return search_output.stored(ctx, "before") if is_result else ctx.view


