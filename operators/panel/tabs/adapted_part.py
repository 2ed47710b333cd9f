"""The part of the tab Fusers about models that were fine-tuned."""

from __future__ import annotations

from datetime import datetime

import fiftyone.operators as foo
from fiftyone.operators import types

from .. import widgets
from ..base import PanelBase
from ..messages import guarded
from ..state import search_state

_COLUMNS = {
    "name": "Adapted model",
    "backbone": "Of",
    "gain": "Held-out images",
    "nouns": "Nouns",
    "offered": "Offered",
    "created": "Trained",
}


class AdaptedPart(PanelBase):
    """What was fine-tuned, its curve, and the way to an index with it."""

    def render_adapted(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the part."""
        if not ctx.panel.get_state("adapted_names"):
            return
        widgets.table(
            part, "adapted", _COLUMNS,
            [
                ("use", "play_arrow", "Compute an index with it", self.on_use_adapted),
                ("drop", "delete", "Delete", self.on_delete_adapted),
            ],
            on_click_row=self.on_adapted,
        )
        chosen = ctx.panel.get_state("chosen_adapted")
        if chosen:
            widgets.note(part, "adapted_summary", chosen)
            widgets.curve(part, "adapted_curve", is_tuning=True)

    def refresh_adapted(self, ctx: foo.ExecutionContext) -> None:
        """Reads the adapted models."""
        from detail_embed.adapt import models

        known = [models.describe(name) for name in models.names()]
        search_state.change(ctx, {"adapted_names": [facts.name for facts in known]})
        rows = [
            {
                "name": facts.name,
                "backbone": facts.backbone,
                "gain": f"{100 * facts.verdict['gain'][0]:+.1f}",
                "nouns": f"{-100 * facts.verdict['lost']:+.1f}",
                "offered": "yes" if facts.is_offered else "no",
                "created": f"{datetime.fromisoformat(facts.created):%d %b %Y}",
            }
            for facts in known
        ]
        ctx.panel.set_data("fusers.adapted", rows)

    @guarded
    def on_tune(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of a fine-tuning."""
        from ...adapt.adapt_backbone import TUNE

        widgets.ask(
            ctx, "adapt_backbone", self.on_started, method=TUNE, **widgets.LONG
        )

    @guarded
    def on_adapted(self, ctx: foo.ExecutionContext) -> None:
        """Shows the summary and the curve of the model that was clicked."""
        from detail_embed.adapt import models

        from ...adapt import tuning_output

        name = widgets.clicked(ctx, ctx.panel.get_state("adapted_names"))
        facts = models.describe(name)
        ctx.panel.set_state("chosen_adapted", tuning_output.summary(facts))
        curve = tuning_output.curve(facts.history)
        ctx.panel.set_data("fusers.adapted_curve", curve)

    @guarded
    def on_use_adapted(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of an index with this model."""
        from detail_embed.adapt import models

        name = widgets.clicked(ctx, ctx.panel.get_state("adapted_names"))
        models.checkpoint(name)  # says why one is not offered
        widgets.ask(
            ctx, "compute_detail_embeddings", self.on_started,
            backbone=models.describe(name).backbone, pretrained=name, advanced=True,
            brain_key=name, **widgets.LONG,
        )

    @guarded
    def on_delete_adapted(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form that deletes the model."""
        name = widgets.clicked(ctx, ctx.panel.get_state("adapted_names"))
        widgets.ask(
            ctx, "manage_adapted_models", self.on_adapted_changed, delete=name
        )

    @guarded
    def on_adapted_changed(self, ctx: foo.ExecutionContext) -> None:
        """Reads the list anew."""
        self.refresh_adapted(ctx)
