"""Heat maps of where a model looks in images, whatever is searched for."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.backbone.attention_maps import LAST, WAYS
from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import NO_COVER
from detail_embed.engine.encode_attention import iter_attention
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.names import check_brain_key
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.model.detail_model import DetailModel
from detail_embed.fiftyone_bridge.runs.pace import Pace
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.samples.app_defaults import (
    ATTENTION,
    ATTENTION_MAKER,
    declare_labels,
    is_made_by,
)
from detail_embed.fiftyone_bridge.samples.frames import Home, home_of
from detail_embed.fiftyone_bridge.where.shown_index import require_record

FIELD = ATTENTION
MEANING = (
    "The stronger the colour, the more of its vector of an image the model takes from "
    "there, whatever the prompt: it does not say what is there, or why a prompt "
    "matched."
)
_SHARE = 64  # images that are written together


@dataclass(frozen=True)
class Shown:
    """What was shown.

    Attributes:
        field: of the heat maps
        images: that have one now
        failed: path of each image that could not be read, and the reason
        meaning: what the heat maps mean, and what not, in a sentence
        seconds: duration of the run
    """

    field: str
    images: int
    failed: dict[str, str]
    meaning: str
    seconds: float


def show_attention(
    index: Index,
    samples: foc.SampleCollection,
    field: str = FIELD,
    way: str = LAST,
    windows: bool = True,
    options: EncodeOptions = DEFAULT,
) -> Run:
    """Gives images Heatmaps of where the model of an index looks in them.

    The higher, the more of its vector of an image the model takes from there, whatever
    the prompt: it does not say what is there, or why a prompt matched. The highest
    place of each image is 1. Heat maps of an earlier run are replaced in these images,
    and stay in others. The files are read and encoded, also where patch features are
    stored.

    Args:
        index: an index that was computed by detail-embed, of any kind; its model must
            have attention, as vision transformers and open_clip's ResNets do
        samples: a dataset or view of images
        field ("detail_attention"): of the heat maps; made where missing
        way ("last"): attention of the last layer, or ``"rollout"`` through all layers
        windows (True): whether it looks in all windows of the index's cover, the whole
            image among them, each level counting as much; else at the whole image once,
            as CLIP does without detail-embed
        options (DEFAULT): how files are read

    Returns:
        a :class:`.runs.run.Run` with a :class:`Shown`; nothing is done until it is
        iterated over

    Raises:
        ValueError: if the samples, the brain key, the field or the way cannot be used;
            from the run, if the model has no attention to be shown
    """
    samples = index.images_of(samples)
    require_record(index)
    _check_way(way, windows)
    _check_field(index.home, field)
    options.check_options()
    return Run(_show(index, samples, field, way, windows, options))


def clear_attention(dataset: fo.Dataset, field: str = FIELD) -> None:
    """Deletes the field that ``show_attention`` made, where it is.

    Raises:
        ValueError: if it is of someone else; then it is left alone
    """
    home = home_of(dataset)
    _check_field(home, field)
    if home.has_field(field):
        home.delete_sample_field(field)


def _check_way(way: str, windows: bool) -> None:
    if way not in WAYS:
        raise ValueError(f"way={way!r}: give {' or '.join(map(repr, WAYS))}")
    if not isinstance(windows, bool):
        raise ValueError(f"windows={windows!r}: give True or False")


def _check_field(home: Home, name: str) -> None:
    check_brain_key(name, "field")
    if not home.has_field(name):
        return
    field = home.get_field(name)
    if not is_made_by(field, ATTENTION_MAKER):
        found = getattr(field, "document_type", type(field)).__name__
        raise ValueError(
            f"the field {name!r} holds {found} that are no heat maps of attention; "
            "they are left alone: give the name of a new field"
        )


def _show(
    index: Index,
    samples: foc.SampleCollection,
    field: str,
    way: str,
    windows: bool,
    options: EncodeOptions,
) -> Generator[Progress, None, Shown]:
    started = time.monotonic()
    home = index.home_of(samples)
    yield Progress("Loading the model", 0.0)
    space = DetailModel(require_record(index).space, zoo.source_directory()).space
    cover = space.cover if space.cover.c not in (1, NO_COVER) else CompleteCover()
    cover = cover if windows else CompleteCover(NO_COVER)
    items = list(zip(*samples.values(["id", "filepath"])))
    heat: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    pace = Pace(len(items))
    looking = iter_attention(items, space.backbone, cover, way, options)
    with closing(looking) as found:
        for done, image in enumerate(found, 1):
            id, path = image.item
            if image.heat is None:
                failed[path] = image.reason
            else:
                heat[id] = image.heat
            if len(heat) == _SHARE:
                _write(home, field, heat)
                heat.clear()
            yield pace.report(done, len(failed))
    _write(home, field, heat)
    seconds = time.monotonic() - started
    return Shown(field, len(items) - len(failed), failed, MEANING, seconds)


def _write(home: Home, field: str, heat: Mapping[str, np.ndarray]) -> None:
    if not heat:
        return
    if not home.has_field(field):
        declare_labels(home, field, fo.Heatmap, ATTENTION_MAKER)
        declared = home.get_field(field)
        declared.description = MEANING
        declared.save()
    labels = {id: fo.Heatmap(map=map, range=[0, 1]) for id, map in heat.items()}
    home.set_values(field, labels, key_field="id")
