"""What a form and a run say of images that are too large to be decoded at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from detail_embed.backbone.weights import input_size
from detail_embed.features.huge_files import huge_line
from detail_embed.fiftyone_bridge.index.settings import Settings


def line(paths: Sequence[str], settings: Settings) -> str | None:
    """Into how many patches the largest of some files is cut; None if none is huge."""
    cover, side = settings.make_cover(), input_size(settings.backbone)
    if side is not None:
        cover = dataclasses.replace(cover, input_size=side)
    return huge_line(paths, cover, settings.max_pixels)
