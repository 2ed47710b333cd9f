"""The curve of a training as a plot in the App."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def layout(x: str, y: str) -> dict[str, Any]:
    """The axes of a plot; that of the loss is on the right.

    Args:
        x: what a step of the training is called
        y: what is measured on held-out data
    """
    return {
        "margin": {"t": 40, "l": 60, "b": 60, "r": 60},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.15},
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}},
        "yaxis2": {
            "title": {"text": "loss", "font": {"size": 14}},
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
        },
    }


def lines(
    history: Sequence[Mapping[str, Any]], shares: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Shares in percent, and the loss, by epoch.

    Args:
        history: the epochs
        shares: what of an epoch is drawn, by the names of the lines
    """
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "cliponaxis": False,
        "x": [epoch["number"] for epoch in history],
    }
    drawn = [
        line | {"name": name, "y": [100 * epoch[key] for epoch in history]}
        for name, key in shares.items()
    ]
    loss = [epoch["loss"] for epoch in history]
    dotted = {"name": "loss", "y": loss, "yaxis": "y2", "line": {"dash": "dot"}}
    return [*drawn, line | dotted]
