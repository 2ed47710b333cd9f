"""A fine-tuning as a text and a plot in the App."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..shared.training_curve import layout, lines

if TYPE_CHECKING:
    from detail_embed.adapt.models import AdaptedFacts

LAYOUT = layout("pass", "mean average precision, %")
_SHARES = {"your texts, held-out images": "held_out", "general nouns": "nouns"}


def curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Held-out images, nouns and the loss, by pass, as lines."""
    return lines(history, _SHARES)


def summary(facts: AdaptedFacts) -> str:
    """What was made, whether to use it, and how."""
    method = facts.config["method"]
    passes = facts.history[-1]["number"]
    said = [
        f"**{facts.name}** may be used: {facts.reason}." if facts.is_offered
        else f"**{facts.name}** is not offered: {facts.reason}.",
        f"{facts.backbone}, {method}, {facts.images:,} images ({facts.held_out:,} held "
        f"out), {facts.texts:,} texts, {facts.crops:,} crops, passes: {passes}, "
        f"{facts.history[-1]['seconds']:,.0f} s; "
        f"{100 * facts.verdict['alpha']:.0f} % new weights, the rest as before.",
    ]
    if facts.stopped:
        said.append(f"It ended early: {facts.stopped}.")
    if facts.skipped:
        said.append(f"Images that could not be read: {facts.skipped:,}.")
    if facts.is_offered:
        said.append(
            f"To use it, choose the model `{facts.backbone}` and, under Advanced, the "
            f"weights *{facts.name}* in **Compute detail embeddings**."
        )
    else:
        said.append(
            "Indexes and searches are as they were. More images, boxes around what is "
            "meant, or more minutes may help."
        )
    return "\n\n".join(said)
