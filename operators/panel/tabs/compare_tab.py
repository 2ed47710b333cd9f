"""The tab that shows what two indexes find for the same prompt, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.operators as foo
from fiftyone.operators import types

from .. import indexes, pictures, widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import search_state, suggested

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.search.compare import Side

SHOWN = 12  # images of each index
_SIDES = ("left", "right")
_HALVES = {
    "grid": {
        "sx": {"display": "grid", "gridTemplateColumns": "repeat(2, minmax(0, 1fr))"}
    }
}


class CompareTab(PanelBase):
    """Two strips of thumbnails; what only one index found has a frame."""

    def render_compare(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        """Draws the tab."""
        part = widgets.column(panel, "compare")
        choices = indexes.choices(ctx.dataset)
        if len(choices) < 2:
            widgets.note(
                part,
                "hint",
                "This dataset has one index. Compute another to compare with it: "
                "**Compute an index** with *Index whole-image vectors too* makes the "
                "plain CLIP index beside a detail index.",
            )
            buttons = widgets.row(part, "start")
            widgets.button(
                buttons, "compute", "Compute an index", self.on_compute, primary=True
            )
            return
        which = widgets.fields(part, "which")
        for side, label in zip(_SIDES, ("Left", "Right")):
            widgets.dropdown(which, side, choices, label, self.on_compare_again)
        offers = suggested.offers(ctx, ctx.panel.get_state("compare.which.left"))
        widgets.prompt_box(
            part, self._compared(ctx), offers.words, offers.examples,
            self.on_prompt, self.on_compare_take_away, fills_grid=False,
        )
        self._draw_sides(ctx, part)

    def choose_sides(self, ctx: foo.ExecutionContext, keys: list[str]) -> None:
        """Chooses two indexes where those chosen are not there (any more)."""
        chosen = [ctx.panel.get_state(f"compare.which.{side}") for side in _SIDES]
        if len(keys) > 1 and not set(chosen) <= set(keys):
            ctx.panel.set_state(
                {f"compare.which.{side}": key for side, key in zip(_SIDES, keys)}
            )

    @guarded
    def on_compare_enter(self, ctx: foo.ExecutionContext) -> dict[str, bool]:
        """Compares what was typed, instead of the prompts or together with them.

        Returns:
            whether it was taken: if not, it stays in the box
        """
        prompts, text = self._compared(ctx), ctx.params.get("text", "")
        if text:
            prompts = search_state.combine(prompts, text, ctx.params["how"])
        self._compare(ctx, prompts)
        return {"taken": True}

    @guarded
    def on_compare_take_away(self, ctx: foo.ExecutionContext) -> None:
        """Compares without a prompt; without the last one, nothing is compared."""
        prompts = self._compared(ctx)
        del prompts[ctx.params["place"] : ctx.params["place"] + 1]
        if prompts:
            self._compare(ctx, prompts)
        else:
            ctx.panel.set_state({"compare.prompts": [], "compare.kept": None})

    def _compared(self, ctx: foo.ExecutionContext) -> list[str]:
        return list(ctx.panel.get_state("compare.prompts") or ())

    def _compare(self, ctx: foo.ExecutionContext, prompts: Sequence[str]) -> None:
        """Asks both indexes."""
        from detail_embed.fiftyone_bridge.search.compare import compare

        if not prompts:
            raise ValueError("type what you are looking for, and press Enter")
        turn = search_state.take_turn(ctx, "compare")
        keys = [ctx.panel.get_state(f"compare.which.{side}") for side in _SIDES]
        sides = compare(ctx.dataset, ", ".join(prompts), keys, SHOWN)
        kept = {n: _keep(ctx.dataset, side) for n, side in zip(_SIDES, sides)}
        if not search_state.is_turn(ctx, turn, "compare"):
            return
        ctx.panel.set_state({"compare.prompts": list(prompts), "compare.kept": kept})
        self.refresh_compare(ctx)

    def refresh_compare(self, ctx: foo.ExecutionContext) -> None:
        """Makes the thumbnails, which the browser forgets when a page is loaded."""
        from detail_embed.fiftyone_bridge.samples.images import paths_of

        from .. import thumbnails

        kept = ctx.panel.get_state("compare.kept") or {}
        ids = [id for side in kept.values() for id in side["ids"]]
        paths = paths_of(ctx.dataset, ids)
        data = {}
        for name, side in kept.items():
            files = [paths.get(id, "") for id in side["ids"]]
            tags = [str(place) for place in range(1, len(files) + 1)]
            drawn = thumbnails.draw(files, tags, side["only"], side["boxes"])
            for place, url in enumerate(drawn):
                data[f"compare.strips.{name}.strip.p{place}"] = url
        if data:
            ctx.panel.set_data(data)

    @guarded
    def on_compare_again(self, ctx: foo.ExecutionContext) -> None:
        """Asks again with another index."""
        if ctx.panel.get_state("compare.kept"):
            self._compare(ctx, self._compared(ctx))

    @guarded
    def on_compare_show(self, ctx: foo.ExecutionContext) -> None:
        """Shows what one index found in the grid, as a search with it does."""
        side = ctx.params["side"]
        search_state.write(
            ctx,
            prompts=self._compared(ctx),
            brain_key=ctx.panel.get_state(f"compare.which.{side}"),
            method="vectors",
            threshold=search_state.OFF,
            example=None,
        )
        self.search(ctx)

    @guarded
    def on_compare_open(self, ctx: foo.ExecutionContext) -> None:
        """Opens the image that was clicked."""
        ctx.ops.open_sample(id=ctx.params["id"])

    def _draw_sides(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        kept = ctx.panel.get_state("compare.kept")
        if not kept:
            return
        widgets.note(
            part, "legend",
            "Orange: only this index has it among its first "
            f"{max(len(side['ids']) for side in kept.values())}. White: where it "
            "matches, if patch features are stored.",
        )
        strips = widgets.row(
            part, "strips", componentsProps=_HALVES, align_y="start", gap=3
        )
        for name in _SIDES:
            side = kept[name]
            half = widgets.column(strips, name)
            widgets.note(
                half, "title",
                f"**{side['brain_key']}** · {sum(side['only'])} only here",
            )
            buttons = widgets.row(half, "buttons")
            widgets.button(
                buttons, "show", "Show in grid", self.on_compare_show,
                params={"side": name},
            )
            strip = pictures.strip(half, "strip")
            for place, id in enumerate(side["ids"]):
                pictures.picture(
                    strip, f"p{place}", f"{name} {place + 1}", self.on_compare_open,
                    {"id": id},
                )


def _keep(dataset: fo.Dataset, side: Side) -> dict[str, Any]:
    """What is shown of a side: with the place, where patches are stored."""
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.where.stored import best_boxes

    ids = side.found.ids[: len(side.ranks)]
    places = [[list(one.box) for one in places] for places in side.found.places]
    if all(len(boxes) < 2 for boxes in places):  # the whole query has a finer place
        best = best_boxes(Index(dataset, side.brain_key), side.found.vector, ids)
        places = [[best[id]] if id in best else [] for id in ids]
    return {
        "brain_key": side.brain_key,
        "ids": ids,
        "only": side.only,
        "boxes": places[: len(ids)],
    }
