"""Strips of small pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fiftyone.operators import types

from . import widgets

_STRIP = {
    "grid": {
        "sx": {
            "display": "grid",
            "gridTemplateColumns": "repeat(auto-fill, minmax(72px, 1fr))",
        }
    }
}
_PICTURE = {"image": {"style": {"width": "100%", "borderRadius": 4}}}


def strip(panel: types.Object, name: str) -> types.Object:
    """Adds a part of small pictures, as many beside each other as there is room for."""
    return widgets.row(panel, name, componentsProps=_STRIP)


def picture(
    panel: types.Object, name: str, alt: str, on_click: Callable, params: dict[str, Any]
) -> None:
    """Adds a small picture; its data URL is panel data of this name."""
    panel.img(
        name, on_click=on_click, params=params, alt_text=alt, componentsProps=_PICTURE
    )
