"""The form of the operator that computes an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.core.collections as foc
from fiftyone.operators import types

from detail_embed import fusers
from detail_embed.backbone import openvino_tower
from detail_embed.backbone.presets import BACKBONES
from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import MAX_C
from detail_embed.features.feature_store import DTYPES
from detail_embed.fiftyone_bridge.evaluate.labels import label_fields
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fusers import library
from detail_embed.fusers.few_vectors import MAX_VECTORS, METHODS, MIN_VECTORS
from detail_embed.space.choose_fuser import AUTO

from ..shared.form import add_ways, choices, given, index_of
from .compute_request import NEVER, Request

_AUTO = "measured on your images: what keeps most of a full patch search"
_HOW = "How the patches of an image become its vectors"


def add_inputs(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    """Adds the inputs of the form, in the order in which they are thought of.

    Args:
        inputs: the form
        params: what has been filled in so far
        samples: the samples that will be embedded
    """
    add_backbone(inputs, params.get("backbone") or Settings.backbone)
    add_cover(inputs)
    _add_savings(inputs)
    _add_vectors(inputs, params, samples)
    _add_target(inputs)
    _add_features(inputs, params, samples)
    _add_machine(inputs)


def add_backbone(inputs: types.Object, backbone: str) -> None:
    """Adds the backbone and its weights."""
    inputs.str(
        "backbone",
        required=True,
        default=Settings.backbone,
        label="Backbone",
        description="An open_clip model; detail-demo brings its weights with it",
        view=choices(types.AutocompleteView(), BACKBONES),
    )
    default = BACKBONES.get(backbone)
    inputs.str(
        "pretrained",
        label="Weights",
        description="An open_clip tag, or the path of a checkpoint. "
        + (f"Empty: {default}" if default else ""),
    )
    inputs.bool(
        "allow_random_weights",
        default=False,
        label="Allow random weights",
        description="A backbone that was never trained finds nothing; for tests only",
    )


def add_cover(inputs: types.Object) -> None:
    """Adds the cover and its spacing."""
    view = types.DropdownView()
    view.add_choice("auto", label="as fine as the backbone can use")
    for c in range(1, MAX_C + 1):
        count = len(CompleteCover(c).boxes(1000, 1000))
        view.add_choice(str(c), label=f"{c}: {count} patches of a square image")
    inputs.enum(
        "cover",
        view.values(),
        default=str(Settings.cover),
        label="Complete Cover",
        description="How fine the images are cut; more patches find smaller things "
        "and take longer",
        view=view,
    )
    inputs.enum(
        "spacing",
        ["even", "authors"],
        default=Settings.spacing,
        label="Spacing of the windows",
        view=types.RadioView(),
    )


def _add_savings(inputs: types.Object) -> None:
    inputs.bool(
        "skip_flat",
        default=Settings.skip_flat,
        label="Leave flat windows out",
        description="Windows without any detail, such as clear sky, take the feature "
        "of a larger one and are not encoded",
    )
    inputs.bool(
        "skip_identical",
        default=Settings.skip_identical,
        label="Embed identical files once",
        description="A file with the same content as one shortly before takes its "
        "vectors",
    )


def _add_vectors(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    view = types.DropdownView()
    view.add_choice(AUTO, label="measured on your images")
    for count in (1, *range(MIN_VECTORS, MAX_VECTORS + 1)):
        view.add_choice(str(count), label=str(count))
    inputs.enum(
        "vectors",
        view.values(),
        default=Settings.vectors,
        label="Vectors per image",
        description="8 or 16 find far more of what is small, for 8 or 16 times the "
        "room; they become patches, with boxes, and the best of an image counts. One "
        "more, for all that compares images, is made beside them",
        view=view,
    )
    asked = _asked(params)
    if asked.makes_few:
        add_ways(
            inputs, "vectors_by", "How they are made", METHODS, Settings.vectors_by,
            _HOW,
        )
    ways = _fuser_ways(index_of(samples, params))
    add_ways(inputs, "fuser", "How one vector is made", ways, Settings.fuser, _HOW)
    if asked.needs_vocabulary:
        add_vocabulary(inputs, samples)


def _asked(params: Mapping[str, Any]) -> Settings:
    """What was filled in of fuser and vectors, as far as it can be read."""
    names = ("fuser", "vectors", "vectors_by")
    try:
        return Request.from_params(given(params, *names)).settings
    except ValueError:
        return Settings()


def _fuser_ways(index: Index) -> dict[str, str | None]:
    """Kinds of fusers, those that were trained, and a deleted one of the index."""
    ways = {AUTO: _AUTO}
    ways |= {name: fusers.kind(name).description for name in fusers.names()}
    for facts in map(library.describe, library.names()):
        ways[facts.name] = (
            f"trained, keeps {100 * facts.held_out:.0f} % of the ranking for held-out "
            f"words; for patches of {facts.patch_slug}"
        )
    record = index.record
    if record is not None:
        ways.setdefault(record.identity["fuser"], f"of the index {index.key!r}, only")
    return ways


def add_vocabulary(inputs: types.Object, samples: foc.SampleCollection) -> None:
    """Adds words, and a label field whose classes are words."""
    inputs.str(
        "proxies",
        label="Vocabulary",
        description="Words that searches may use, separated by commas. Empty, and no "
        "label field: the commonest nouns",
        view=types.TextFieldView(multiline=True),
    )
    inputs.str(
        "proxy_field",
        label="Classes of a label field",
        description="Used as vocabulary, too",
        view=choices(types.DropdownView(), label_fields(samples, fo.Label)),
    )


def _add_features(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    try:
        settings = Request.from_params(params).settings
        settings.check()
        room = feature_stores.describe(samples, settings)
    except ValueError:  # what it is will be said by the check of the whole form
        room = ""
    inputs.str(
        "keep_features",
        default=Settings.keep_features,
        label="Keep patch features",
        description="For search by all patches, and to try other ways without encoding "
        f"again; auto: where there is room. {room}",
        view=choices(types.DropdownView(), (AUTO, NEVER, *DTYPES)),
    )


def _add_target(inputs: types.Object) -> None:
    inputs.str(
        "brain_key",
        required=True,
        default="detail",
        label="Brain key",
        description="Names the index. Under a key that exists, only images without a "
        "vector are embedded",
    )
    inputs.bool(
        "also_global",
        default=True,
        label="Index whole-image vectors too",
        description="What the backbone finds today, to compare; costs nothing extra",
    )
    inputs.bool(
        "overwrite",
        default=False,
        label="Start over",
        description="Deletes the index and the vectors under the brain key first",
    )
    backends = sorted(fob.brain_config.similarity_backends)
    inputs.str(
        "backend",
        default=fob.brain_config.default_similarity_backend,
        label="Similarity backend",
        view=choices(types.DropdownView(), backends),
    )


def _add_machine(inputs: types.Object) -> None:
    devices = ["auto", "cpu", "cuda"]
    if openvino_tower.is_installed():
        devices.append(openvino_tower.NAME)
    inputs.str(
        "device",
        default=Settings.device,
        label="Device",
        view=choices(types.AutocompleteView(), devices),
    )
    inputs.int(
        "batch_size",
        min=1,
        label="Batch size",
        description="Patches at once. Empty: a choice by device",
    )
    inputs.int(
        "max_pixels",
        min=1,
        default=Settings.max_pixels,
        label="Largest image",
        description="In pixels. Larger ones are not read, which bounds the memory",
    )
    inputs.int(
        "shards",
        min=1,
        default=1,
        label="Shards",
        description="Of a scheduled run: how many runs share the images, one "
        "`fiftyone delegated launch` each",
    )
