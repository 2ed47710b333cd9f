"""The models to choose from: those of the dataset's own indexes first."""

from __future__ import annotations

import fiftyone as fo
import open_clip
from fiftyone.operators import types

from detail_embed.backbone import bundled_model, hub
from detail_embed.backbone.presets import BACKBONES
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.index.settings import Settings


def add_model(inputs: types.Object, dataset: fo.Dataset, chosen: str | None) -> str:
    """Adds the choice of a model.

    The first one is chosen at first that can be used: that of an index of the dataset,
    the usual one, then another whose weights are on this disk.

    Args:
        inputs: of the form
        dataset: whose indexes' models come first
        chosen: what was chosen so far

    Returns:
        the name of the model that is meant
    """
    own = _own(dataset)
    names = list(dict.fromkeys([*own, Settings.backbone, *BACKBONES]))
    default = next(filter(_is_usable, names), Settings.backbone)
    name = chosen or default
    view = types.AutocompleteView()
    for one in names:
        view.add_choice(one, label=one, description=_describe(one, own))
    inputs.str(
        "backbone",
        required=True,
        default=default,
        label="Model",
        description=_describe(name, own),
        view=view,
    )
    return name


def _own(dataset: fo.Dataset) -> dict[str, str]:
    """Models of the dataset's indexes, with the usual weights, and the indexes."""
    own: dict[str, str] = {}
    for key, record in records.read_all(dataset).items():
        name, weights = record.identity["backbone"], record.identity["pretrained"]
        if name in BACKBONES and weights == BACKBONES[name]:
            own.setdefault(name, key)
    return own


def _describe(name: str, own: dict[str, str]) -> str:
    parts = [f"that of the index {own[name]!r}"] if name in own else []
    if name == bundled_model.NAME:
        parts.append(bundled_model.WHAT)
    config = _config(name)
    if name == bundled_model.NAME or (config and hub.find(config)):
        parts.append("on this disk")
    elif config:
        is_gone = hub.seems_out_of_reach(config)
        parts.append("cannot be downloaded now" if is_gone else "will be downloaded")
    else:
        parts.append("an open_clip model: name its weights under Advanced")
    text = "; ".join(parts)
    return text[0].upper() + text[1:]


def _is_usable(name: str) -> bool:
    config = _config(name)
    if config is None:
        return name == bundled_model.NAME
    return bool(hub.find(config)) or not hub.seems_out_of_reach(config)


def _config(name: str) -> dict | None:
    """Where the usual weights of a model are; None where it has none."""
    tag = BACKBONES.get(name)
    return None if tag is None else open_clip.get_pretrained_cfg(name, tag)
