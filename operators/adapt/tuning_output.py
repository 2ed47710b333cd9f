"""A fine-tuning as a text and a plot in the App."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detail_embed.adapt.models import AdaptedFacts

LAYOUT = {
    "margin": {"t": 40, "l": 60, "b": 60, "r": 60},
    "showlegend": True,
    "legend": {"orientation": "h", "x": 0, "y": 1.15},
    "xaxis": {"title": {"text": "pass"}},
    "yaxis": {"title": {"text": "mean average precision, %"}},
    "yaxis2": {
        "title": {"text": "loss", "font": {"size": 14}},
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
    },
}


def curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Held-out images, nouns and the loss, by pass, as lines."""
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "cliponaxis": False,
        "x": [epoch["number"] for epoch in history],
    }
    found = [100 * epoch["held_out"] for epoch in history]
    nouns = [100 * epoch["nouns"] for epoch in history]
    loss = [epoch["loss"] for epoch in history]
    return [
        line | {"name": "your texts, held-out images", "y": found},
        line | {"name": "general nouns", "y": nouns},
        line | {"name": "loss", "y": loss, "yaxis": "y2", "line": {"dash": "dot"}},
    ]


def summary(facts: AdaptedFacts) -> str:
    """What was made, whether to use it, and how."""
    method = facts.config["method"]
    passes = facts.history[-1]["number"]
    lines = [
        f"**{facts.name}** may be used: {facts.reason}." if facts.is_offered
        else f"**{facts.name}** is not offered: {facts.reason}.",
        f"{facts.backbone}, {method}, {facts.images:,} images ({facts.held_out:,} held "
        f"out), {facts.texts:,} texts, {facts.crops:,} crops, passes: {passes}, "
        f"{facts.history[-1]['seconds']:,.0f} s; "
        f"{100 * facts.verdict['alpha']:.0f} % new weights, the rest as before.",
    ]
    if facts.stopped:
        lines.append(f"It ended early: {facts.stopped}.")
    if facts.skipped:
        lines.append(f"Images that could not be read: {facts.skipped:,}.")
    if facts.is_offered:
        lines.append(
            f"To use it, choose the model `{facts.backbone}` and, under Advanced, the "
            f"weights *{facts.name}* in **Compute detail embeddings**."
        )
    else:
        lines.append(
            "Indexes and searches are as they were. More images, boxes around what is "
            "meant, or more minutes may help."
        )
    return "\n\n".join(lines)
