"""The weights of a model: a tag, a file, or those of a model that was adapted."""

from __future__ import annotations

from fiftyone.operators import types

from detail_embed.adapt import models
from detail_embed.backbone.presets import BACKBONES

from .advanced_labels import LABELS


def add_weights(inputs: types.Object, backbone: str) -> None:
    """Adds the weights of a model; adapted ones of its kind can be chosen by name."""
    default = BACKBONES.get(backbone)
    own = models.offered(backbone)
    view = types.AutocompleteView() if own else None
    for name in own:
        view.add_choice(name, label=name, description="Adapted on this machine")
    adapted = ", or an adapted model" if own else ""
    what = f"An open_clip tag, or the path of a checkpoint{adapted}. "
    inputs.str(
        "pretrained",
        label=LABELS["pretrained"],
        description=what + (f"Empty: {default}" if default else ""),
        view=view,
    )
    inputs.bool(
        "allow_random_weights",
        default=False,
        label=LABELS["allow_random_weights"],
        description="A model that was never trained finds nothing; for tests only",
    )


def path_of(weights: str) -> str:
    """The file of an adapted model, by its name; other weights as they are.

    Raises:
        ValueError: if the model is not offered
    """
    if weights in models.names():
        return str(models.checkpoint(weights))
    return weights
