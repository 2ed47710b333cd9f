"""The boxes of a label field as patches: which field, and what is added around."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone.core.collections as foc
from fiftyone.operators import types

from detail_embed.cover.squares import MAX_PADDING
from detail_embed.fiftyone_bridge.index.label_fields import label_fields
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples import box_labels
from detail_embed.fiftyone_bridge.samples.frames import home_of

from ..shared.form import choices
from .advanced_labels import LABELS


def add_boxes(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    """Adds the field whose boxes are patches, and once it is chosen, the padding.

    Args:
        inputs: of the form
        params: what has been filled in so far
        samples: the samples that will be embedded
    """
    known = label_fields(home_of(samples), box_labels.KINDS)
    if not known:
        return
    inputs.str(
        "patches_field",
        label=LABELS["patches_field"],
        description="Each box is a patch, too, and can be searched by itself. Empty: "
        "none",
        view=choices(types.DropdownView(), known),
    )
    if params.get("patches_field"):
        inputs.float(
            "padding",
            min=0,
            max=MAX_PADDING,
            default=Settings.padding,
            label=LABELS["padding"],
            description="Share of a box's longer side that is added on each side",
        )
