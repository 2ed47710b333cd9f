"""What can be done with the images that a search shows: close-ups, places, a view."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators import types

from ...shared.app import take_defaults
from .. import queries, widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import search_state
from . import search_output

_AT_ONCE = 50  # images in which the place is marked without asking


class ResultsPart(PanelBase):
    """Buttons beside those of the search."""

    def draw_actions(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the buttons."""
        result = search_output.found(ctx)
        if result["has_places"]:
            label = "Images" if result["close"] else "Close-ups"
            widgets.button(part, "close_ups", label, self.on_close_ups)
        if result["clips"]:
            widgets.button(part, "save", "Save view", self.on_save_view)
            return
        if result["label_field"]:
            widgets.button(part, "similar", "Find similar", self.on_similar)
        elif result["where"]:
            widgets.button(part, "hide", "Hide where", self.on_hide_where)
        else:
            widgets.button(part, "where", "Show where", self.on_show_where)
        if not result["label_field"]:
            widgets.button(part, "attention", "Show attention", self.on_show_attention)
        widgets.button(part, "save", "Save view", self.on_save_view)

    @guarded
    def on_close_ups(self, ctx: foo.ExecutionContext) -> None:
        """Shows the places that matched instead of the images, or the images again."""
        result = search_output.require(ctx)
        if result["close"]:
            ctx.ops.set_view(search_output.stored(ctx, "images"))
            take_defaults(ctx)  # patches have mixed up the sidebar's groups
        else:
            ctx.ops.set_view(search_output.close_ups(ctx))
        result["close"] = not result["close"]
        if result["label_field"]:
            search_output.draw_labels(ctx)

    @guarded
    def on_similar(self, ctx: foo.ExecutionContext) -> None:
        """Searches for boxes like those that are selected, without prompts."""
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.search import examples, selected

        index = Index(ctx.dataset, search_state.read(ctx).brain_key)
        chosen = selected.arguments(
            index, ctx.view, ctx.selected or (), ctx.selected_labels or ()
        )
        if not chosen:
            raise ValueError(
                "select a box first, in the grid or in an open image: then this finds "
                "boxes like it"
            )
        count = sum(map(len, chosen.values()))
        example = {
            "vector": [float(x) for x in examples.mix(index, **chosen).round(6)],
            "weight": 1.0,
            "label": f"{count} {'box' if count == 1 else 'boxes'}",
        }
        search_state.write(
            ctx, prompts=[], example=example, threshold=search_state.OFF
        )
        self.search(ctx)

    @guarded
    def on_show_where(self, ctx: foo.ExecutionContext) -> None:
        """Marks the places in the images shown; encodes them where it has to."""
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.where import show_where, stored

        asked, images = search_state.read(ctx), search_output.stored(ctx, "images")
        query = queries.ask(ctx, asked)
        label = None if isinstance(query, str) else asked.text or "example"
        index = Index(ctx.dataset, asked.brain_key)
        if not stored.is_stored(index, images.limit(_AT_ONCE + 1)):
            what = {"text": query} if label is None else {
                "text": label, "vector": query.tolist()
            }
            ctx.prompt(
                "@detail/detail-embed/show_where",
                params={
                    **what, "brain_key": asked.brain_key, "templates": asked.templates
                },
                skip_prompt=True,
            )
            search_output.show_where(ctx)
            return
        shown = images.limit(_AT_ONCE)
        run = show_where.show_where(
            index, shown, query, label=label, templates=asked.templates
        )
        marked = run.finish()
        ctx.ops.reload_dataset()
        search_output.show_where(ctx, marked.field, marked.heatmap_field)

    @guarded
    def on_hide_where(self, ctx: foo.ExecutionContext) -> None:
        """Draws the best place alone again."""
        search_output.hide_where(ctx)

    @guarded
    def on_show_attention(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that shows where the model looks."""
        brain_key = search_state.read(ctx).brain_key
        ctx.prompt(
            "@detail/detail-embed/show_attention", params={"brain_key": brain_key}
        )

    @guarded
    def on_save_view(self, ctx: foo.ExecutionContext) -> None:
        """Opens FiftyOne's form that saves the view."""
        ctx.prompt("@voxel51/operators/save_view")
