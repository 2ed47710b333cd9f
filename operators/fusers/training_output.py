"""A training as a text and a plot in the App."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fiftyone.operators import types

from ..shared.output import PLOT
from ..shared.training_curve import layout, lines

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.compute.train_fuser import TrainResult

_GAIN = 0.0005  # what rounding to a tenth of a percent shows
LAYOUT = layout("epoch", "ranking kept, %")


def results(trained: TrainResult) -> dict[str, Any]:
    """What is shown, as JSON values, and all that is known of the training."""
    shown = {"summary": _summary(trained), "curve": curve(trained.history)}
    return asdict(trained) | shown


def curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was kept for held-out words, and the loss, by epoch, as lines."""
    return lines(history, {"kept for held-out words": "held_out"})


def schema(values: Mapping[str, Any] | None) -> types.Property:
    """How :func:`results` are shown; nothing where there are none."""
    outputs = types.Object()
    if values:
        outputs.str("summary", view=types.MarkdownView())
        outputs.plot(
            "curve", label="Training", height="380px", layout=LAYOUT, config=PLOT
        )
    return types.Property(outputs, view=types.View(label="Trained fuser"))


def _summary(trained: TrainResult) -> str:
    if trained.held_out - trained.before >= _GAIN:
        verdict = f"{100 * trained.before:.1f} % before the first step"
    else:
        verdict = "no more than before the first step, so it stays as it started"
    return (
        f"**{trained.name}** is trained: it keeps {100 * trained.held_out:.1f} % of "
        f"the ranking for held-out words and images, {verdict}.\n\n"
        f"{trained.kind}, {trained.images:,} images, {trained.words:,} words, epochs: "
        f"{trained.epochs}, {trained.seconds:,.0f} s; for patches of "
        f"`{trained.patch_slug}`.\n\n"
        "Choose it as *Fuser* in **Compute detail embeddings**."
    )
