"""What else can be said of an index, in groups: each has a default that does well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone.brain as fob
import fiftyone.core.collections as foc
from fiftyone.operators import types

from detail_embed import fusers
from detail_embed.backbone import openvino_tower
from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import MAX_C, NO_COVER
from detail_embed.features.packing import DTYPES
from detail_embed.fiftyone_bridge.compute.measured_windows import MIN_IMAGES
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.label_fields import label_fields
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fusers import library
from detail_embed.fusers.few_vectors import MAX_VECTORS, METHODS, MIN_VECTORS
from detail_embed.space.choose_fuser import AUTO

from ..shared.form import add_ways, choices, given, index_of
from .advanced_labels import LABELS, TIME_LIMIT
from .box_form import add_boxes
from .compute_request import BY_QUALITY, FLAT, NEVER, Request
from .weights_choice import add_weights

_AUTO = "Measured on your images: what keeps most of a full patch search"
_HOW = "How the patches of an image become its vectors"
_AS_QUALITY = "As the quality says"


def add_advanced(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    """Adds all inputs of an index but quality, model and name.

    Args:
        inputs: the form
        params: what has been filled in so far
        samples: the samples that will be embedded
    """
    _head(inputs, "The model")
    add_weights(inputs, params["backbone"])
    _head(inputs, "How images are cut")
    add_cover(inputs, bool(params.get("patches_field")))
    add_boxes(inputs, params, samples)
    _add_savings(inputs)
    _head(inputs, "What they become")
    _add_vectors(inputs, params, samples)
    _head(inputs, "What is kept")
    _add_features(inputs, params, samples)
    _add_kept(inputs)
    _head(inputs, "This machine")
    _add_machine(inputs)


def add_cover(inputs: types.Object, has_boxes: bool = False) -> None:
    """Adds the cover and its spacing; with boxes it may be left out."""
    view = types.DropdownView()
    view.add_choice(BY_QUALITY, label=_AS_QUALITY)
    if has_boxes:
        view.add_choice(NO_COVER, label="None: the boxes and the whole image alone")
    view.add_choice("auto", label="As fine as the model can use")
    for c in range(1, MAX_C + 1):
        count = len(CompleteCover(c).boxes(1000, 1000))
        view.add_choice(str(c), label=f"{c}: {count} patches of a square image")
    inputs.enum(
        "cover",
        view.values(),
        default=BY_QUALITY,
        label=LABELS["cover"],
        description="How fine the images are cut; more patches find smaller things "
        "and take longer",
        view=view,
    )
    inputs.enum(
        "spacing",
        ["even", "authors"],
        default=Settings.spacing,
        label=LABELS["spacing"],
        description="Even, or as the authors of DetailCLIP place them",
        view=types.RadioView(),
    )


def add_vocabulary(inputs: types.Object, samples: foc.SampleCollection) -> None:
    """Adds words, and a label field whose classes are words."""
    inputs.str(
        "proxies",
        label=LABELS["proxies"],
        description="Words that searches may use, separated by commas. Empty, and no "
        "label field: the commonest nouns",
        view=types.TextFieldView(multiline=True),
    )
    inputs.str(
        "proxy_field",
        label=LABELS["proxy_field"],
        description="Used as vocabulary, too",
        view=choices(types.DropdownView(), label_fields(samples)),
    )


def _head(inputs: types.Object, title: str) -> None:
    name = f"about_{title.lower().replace(' ', '_')}"
    inputs.view(name, types.Header(label=title, divider=True))


def _add_savings(inputs: types.Object) -> None:
    view = types.DropdownView()
    view.add_choice(NEVER, label="None")
    view.add_choice(FLAT, label="Those without any detail, such as clear sky")
    view.add_choice(AUTO, label="As many as a search can do without, measured")
    inputs.enum(
        "skip_flat",
        view.values(),
        default=NEVER,
        label=LABELS["skip_flat"],
        description="They take the feature of a larger window and are not encoded. "
        f"Measured on a sample where there are {MIN_IMAGES:,} images or more",
        view=view,
    )
    inputs.bool(
        "skip_identical",
        default=Settings.skip_identical,
        label=LABELS["skip_identical"],
        description="A file with the same content as one shortly before takes its "
        "vectors",
    )


def _add_vectors(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    view = types.DropdownView()
    view.add_choice(BY_QUALITY, label=_AS_QUALITY)
    view.add_choice(AUTO, label="Measured on your images")
    for count in (1, *range(MIN_VECTORS, MAX_VECTORS + 1)):
        view.add_choice(str(count), label=str(count))
    inputs.enum(
        "vectors",
        view.values(),
        default=BY_QUALITY,
        label=LABELS["vectors"],
        description="8 or 16 find far more of what is small, for 8 or 16 times the "
        "room; they become patches, with boxes, and the best of an image counts. One "
        "more, for all that compares images, is made beside them",
        view=view,
    )
    asked = _asked(params)
    if asked.makes_few:
        add_ways(
            inputs, "vectors_by", LABELS["vectors_by"], METHODS, Settings.vectors_by,
            _HOW,
        )
    ways = _fuser_ways(index_of(samples, params))
    add_ways(inputs, "fuser", LABELS["fuser"], ways, BY_QUALITY, _HOW)
    if asked.needs_vocabulary:
        add_vocabulary(inputs, samples)


def _asked(params: Mapping[str, Any]) -> Settings:
    """What was filled in of fuser and vectors, as far as it can be read."""
    names = ("quality", "fuser", "vectors", "vectors_by")
    try:
        return Request.from_params(given(params, *names)).settings
    except ValueError:
        return Settings()


def _fuser_ways(index: Index) -> dict[str, str | None]:
    """Kinds of fusers, those that were trained, and a deleted one of the index."""
    ways = {BY_QUALITY: "Measured; of the fast one: gmp", AUTO: _AUTO}
    ways |= {name: fusers.kind(name).description for name in fusers.names()}
    for facts in map(library.describe, library.names()):
        ways[facts.name] = (
            f"Trained, keeps {100 * facts.held_out:.0f} % of the ranking for held-out "
            f"words; for patches of {facts.patch_slug}"
        )
    record = index.record if isinstance(index.key, str) else None
    if record is not None:
        ways.setdefault(record.identity["fuser"], f"Of the index {index.key!r}, only")
    return ways


def _add_features(
    inputs: types.Object, params: Mapping[str, Any], samples: foc.SampleCollection
) -> None:
    try:
        settings = Request.from_params(params).settings
        settings.check()
        room = feature_stores.describe(samples, settings)
    except ValueError:  # what it is will be said by the check of the whole form
        room = ""
    view = types.DropdownView()
    view.add_choice(BY_QUALITY, label=_AS_QUALITY)
    view.add_choice(AUTO, label="Where there is room")
    view.add_choice(NEVER, label="Never")
    for dtype in DTYPES:
        view.add_choice(dtype, label=dtype)
    inputs.enum(
        "keep_features",
        view.values(),
        default=BY_QUALITY,
        label=LABELS["keep_features"],
        description="For search by all patches, and to try other ways without encoding "
        f"again. {room}",
        view=view,
    )


def _add_kept(inputs: types.Object) -> None:
    inputs.bool(
        "also_global",
        default=True,
        label=LABELS["also_global"],
        description="What the model finds today, to compare; costs nothing extra",
    )
    inputs.bool(
        "overwrite",
        default=False,
        label=LABELS["overwrite"],
        description="Deletes the index of this name and its vectors first",
    )
    backends = sorted(fob.brain_config.similarity_backends)
    inputs.str(
        "backend",
        default=fob.brain_config.default_similarity_backend,
        label=LABELS["backend"],
        description="What FiftyOne keeps the vectors with",
        view=choices(types.DropdownView(), backends),
    )


def _add_machine(inputs: types.Object) -> None:
    devices = ["auto", "cpu", "cuda", "torch"]
    if openvino_tower.is_installed():
        devices.append(openvino_tower.NAME)
    inputs.str(
        "device",
        default=Settings.device,
        label=LABELS["device"],
        description="Auto: a GPU where there is one. On a CPU what is fastest is "
        "measured; torch or openvino names it",
        view=choices(types.AutocompleteView(), devices),
    )
    inputs.int(
        "batch_size",
        min=1,
        label=LABELS["batch_size"],
        description="Patches at once. Empty: a choice by device",
    )
    inputs.int(
        "max_pixels",
        min=1,
        default=Settings.max_pixels,
        label=LABELS["max_pixels"],
        description="In pixels. Larger ones are read by parts, for the memory's sake",
    )
    inputs.float(
        "read_seconds",
        default=Settings.read_seconds,
        label=LABELS["read_seconds"],
        description=TIME_LIMIT,
    )
    inputs.int(
        "shards",
        min=1,
        default=1,
        label=LABELS["shards"],
        description="Of a scheduled run: how many runs share the images, one "
        "`fiftyone delegated launch` each",
    )
