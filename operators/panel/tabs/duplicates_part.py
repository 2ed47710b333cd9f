"""The near duplicates that were found last, by grade, on the tab that curates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fiftyone.core.view as fov
import fiftyone.operators as foo
from fiftyone.operators import types

from .. import widgets
from ..base import PanelBase
from ..messages import guarded, say
from ..state import copies, memory, search_state

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.index import Index

_GRADES, _ROWS = "duplicates", "curate.duplicates"
_COLUMNS = {"grade": "Near duplicates", "groups": "Groups", "duplicates": "Could go"}
_TAG = "duplicate"


class DuplicatesPart(PanelBase):
    """Lists the grades; each can be looked at and tagged. Nothing is deleted here."""

    def render_duplicates(self, ctx: foo.ExecutionContext, part: types.Object) -> None:
        """Draws the list, if there is something in it."""
        if not memory.of(ctx).get(_GRADES):
            return
        widgets.note(
            part, "duplicates_text",
            "Click to see each image with those like it: the best file comes first. To "
            "delete, show what could go, select it, press the backtick key and choose "
            "FiftyOne's own *Delete selected samples*, which asks first.",
        )
        widgets.table(
            part,
            "duplicates",
            _COLUMNS,
            [
                ("only", "filter_list", "Show what could go", self.on_only_duplicates),
                ("tag", "label", f"Tag it '{_TAG}'", self.on_tag_duplicates),
            ],
            on_click_row=self.on_duplicates_row,
        )

    def refresh_duplicates(self, ctx: foo.ExecutionContext) -> None:
        """Reads what the last search for near duplicates has found."""
        from detail_embed.fiftyone_bridge.curate import duplicate_field

        grades = duplicate_field.read(_index(ctx))
        memory.of(ctx)[_GRADES] = [grade.name for grade in grades]
        copies.drop(ctx, _ROWS)
        rows = [
            {
                "grade": grade.name,
                "groups": f"{grade.groups:,}",
                "duplicates": f"{grade.duplicates:,}",
            }
            for grade in grades
        ]
        ctx.panel.set_data(_ROWS, rows)

    @guarded
    def on_duplicates_row(self, ctx: foo.ExecutionContext) -> None:
        """Shows the groups of a grade."""
        _show(ctx, _view(ctx))

    @guarded
    def on_only_duplicates(self, ctx: foo.ExecutionContext) -> None:
        """Shows the images of a grade that could go."""
        _show(ctx, _view(ctx, only_duplicates=True))

    @guarded
    def on_tag_duplicates(self, ctx: foo.ExecutionContext) -> None:
        """Tags the images of a grade that could go."""
        view = _view(ctx, only_duplicates=True)
        view.tag_samples(_TAG)
        ctx.ops.reload_dataset()
        count = len(view)
        have = "image has" if count == 1 else "images have"
        say(ctx, f"{count:,} {have} the tag '{_TAG}'", "success")


def _view(ctx: foo.ExecutionContext, only_duplicates: bool = False) -> fov.DatasetView:
    from detail_embed.fiftyone_bridge.curate import duplicate_field

    grade = widgets.clicked(ctx, memory.of(ctx).get(_GRADES))
    view = duplicate_field.view(_index(ctx), grade, only_duplicates)
    if not len(view):
        raise ValueError(
            f"no near duplicates that are {grade} are left: open this tab again"
        )
    return view


def _show(ctx: foo.ExecutionContext, view: fov.DatasetView) -> None:
    """Shows images, with their grades on them."""
    from detail_embed.fiftyone_bridge.curate import duplicate_field

    ctx.ops.set_view(view)
    ctx.ops.set_active_fields([duplicate_field.field_of(_index(ctx))])


def _index(ctx: foo.ExecutionContext) -> Index:
    from detail_embed.fiftyone_bridge.index.index import Index

    return Index(ctx.dataset, search_state.read(ctx).brain_key)
