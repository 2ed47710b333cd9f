"""The samples that a form is for, after a search: all, unless a person picks the view.

What a search shows is a part of the dataset that nobody has chosen for anything else.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.media as fom
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.constants import ViewTarget

_CAN_BE_FLAT = (
    "require_flat" in signature(foo.ExecutionContext.target_view).parameters
)


def of_run(ctx: foo.ExecutionContext) -> foc.SampleCollection:
    """The target view; of groups the images of the slice that is shown, if it can be.

    Before FiftyOne 1.22 groups stay groups, which mean that slice all the same.
    """
    if ctx.dataset.media_type != fom.GROUP or not _CAN_BE_FLAT:
        return ctx.target_view()
    return ctx.target_view(require_flat=True)


def of_form(
    ctx: foo.ExecutionContext, inputs: types.Object, target: foc.SampleCollection
) -> foc.SampleCollection:
    """Offers the whole dataset first where a search is shown.

    Args:
        ctx: of the form
        inputs: the form
        target: the target view, as FiftyOne takes it

    Returns:
        the samples that are meant
    """
    from detail_embed.fiftyone_bridge.samples import private_names

    if not private_names.asks_for_target(ctx):
        return target
    if not _shows_search(private_names.serialized(ctx.view)):
        return target
    if private_names.is_patches(ctx.view):  # close-ups: parts of images
        hidden = types.HiddenView(read_only=False)
        inputs.enum(
            "view_target", [ViewTarget.DATASET], default=ViewTarget.DATASET, view=hidden
        )
    else:
        inputs.view_target(ctx, default_target=ViewTarget.DATASET)
    is_picked = ctx.request_params.get("view_target") is not None
    return target if is_picked else ctx.dataset


def _shows_search(stages: list[dict[str, Any]]) -> bool:
    from detail_embed.fiftyone_bridge.samples.app_defaults import MATCH, SCORE

    return any(
        name == "field" and value in (SCORE, MATCH)
        for stage in stages
        for name, value in stage["kwargs"]
    )
