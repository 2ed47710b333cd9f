"""The tab of trained fusers: train one, watch it, use it."""

from __future__ import annotations

from datetime import datetime

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import search_state

_COLUMNS = {
    "name": "Fuser",
    "kind": "Kind",
    "held_out": "Held-out words",
    "images": "Images",
    "created": "Trained",
}


class FusersTab(PanelBase):
    """What was trained, and what is being trained."""

    def render_fusers(self, ctx: foo.ExecutionContext, panel: types.Object) -> None:
        """Draws the tab."""
        part = widgets.column(panel, "fusers")
        widgets.note(
            part, "intro",
            "A fuser makes one vector of an image's patches. One that is trained on "
            "your images, without labels, may keep more of what the patches show. With "
            "labels or captions, a model itself can be fine-tuned.",
        )
        buttons = widgets.row(part, "buttons")
        widgets.button(buttons, "train", "Train a fuser", self.on_train, primary=True)
        widgets.button(buttons, "tune", "Fine-tune a model", self.on_tune)
        self.render_runs(ctx, part)
        self.render_adapted(ctx, part)
        if not ctx.panel.get_state("fuser_names"):
            widgets.note(part, "empty", "No fuser was trained yet.")
            return
        widgets.table(
            part,
            "list",
            _COLUMNS,
            [
                ("apply", "play_arrow", "Compute an index with it", self.on_apply),
                ("delete", "delete", "Delete", self.on_delete_fuser),
            ],
            on_click_row=self.on_fuser,
        )
        chosen = ctx.panel.get_state("chosen_fuser")
        if chosen:
            widgets.note(part, "chosen", f"**{chosen}**")
            widgets.curve(part, "curve")

    def refresh_fusers(self, ctx: foo.ExecutionContext) -> None:
        """Reads the trained fusers."""
        from detail_embed.fusers import library

        facts = [library.describe(name) for name in library.names()]
        search_state.change(ctx, {"fuser_names": [fuser.name for fuser in facts]})
        rows = [
            {
                "name": fuser.name,
                "kind": fuser.kind,
                "held_out": f"{100 * fuser.held_out:.1f}{widgets.NO_BREAK}%",
                "images": f"{fuser.images:,}",
                "created": f"{datetime.fromisoformat(fuser.created):%d %b %Y}",
            }
            for fuser in facts
        ]
        ctx.panel.set_data("fusers.list", rows)
        self.refresh_adapted(ctx)

    @guarded
    def on_train(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of a training."""
        widgets.ask(ctx, "train_fuser", self.on_started, **widgets.LONG)

    @guarded
    def on_fuser(self, ctx: foo.ExecutionContext) -> None:
        """Shows the curve of the fuser that was clicked."""
        from detail_embed.fusers import library

        from ...fusers.training_output import curve

        name = widgets.clicked(ctx, ctx.panel.get_state("fuser_names"))
        ctx.panel.set_state("chosen_fuser", name)
        history = library.describe(name).history
        ctx.panel.set_data("fusers.curve", curve(history))

    @guarded
    def on_apply(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of an index with this fuser."""
        name = widgets.clicked(ctx, ctx.panel.get_state("fuser_names"))
        widgets.ask(
            ctx, "compute_detail_embeddings", self.on_started, fuser=name,
            brain_key=name if name.isidentifier() else "detail_trained",
            **widgets.LONG,
        )

    @guarded
    def on_delete_fuser(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that deletes the fuser."""
        name = widgets.clicked(ctx, ctx.panel.get_state("fuser_names"))
        widgets.ask(ctx, "manage_fusers", self.on_fusers_changed, delete=name)

    @guarded
    def on_fusers_changed(self, ctx: foo.ExecutionContext) -> None:
        """Reads the list anew."""
        self.refresh_fusers(ctx)
