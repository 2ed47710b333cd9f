"""The operator that opens the panel."""

from __future__ import annotations

from functools import cached_property

import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import app
from ..shared.form_operator import ICON

PANEL = "detail_search"


class OpenDetailSearch(foo.Operator):
    """Opens the panel beside the images, from the toolbar and the operator browser.

    The App sorts its operator browser by the first letter of the descriptions.
    """

    @cached_property
    def config(self) -> foo.OperatorConfig:
        """Name and label."""
        return foo.OperatorConfig(
            name="open_detail_search",
            label="Open Detail Search",
            description="A panel beside the images: type what you look for",
            icon=ICON,
            skip_input=True,
        )

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        """The button above the grid."""
        button = types.Button(label="Detail Search", icon=ICON, prompt=False)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def execute(self, ctx: foo.ExecutionContext) -> dict[str, str] | None:
        """Opens the panel, or shows it where it is open."""
        ctx.ops.open_panel(PANEL, layout="horizontal", is_active=True)
        if app.is_app(ctx):
            return None
        return {"note": "This opens a panel in the App: without an App, search by "
                        "search_by_prompts, with text='a red helmet'"}
