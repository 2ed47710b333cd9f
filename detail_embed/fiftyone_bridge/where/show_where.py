"""Labels that show where images match a query: boxes, and a heat map."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
import torch
from torch import Tensor

from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import NO_COVER
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.features import FeatureStore
from detail_embed.features.label import LABEL, patch_slug
from detail_embed.fiftyone_bridge.concepts import resolve
from detail_embed.fiftyone_bridge.index import feature_stores, records
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.model.detail_model import DetailModel
from detail_embed.fiftyone_bridge.runs.pace import Pace
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.where.fields import (
    FIELD,
    HEATMAP_FIELD,
    WhereFields,
    clear_where,
)
from detail_embed.fiftyone_bridge.where.shown_index import require_record, showable
from detail_embed.patch_search.localise import Places, localise
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.storage.plain_numbers import is_a
from detail_embed.texts.query import Query
from detail_embed.texts.read_query import read_query

__all__ = [
    "Where",
    "check_show_where",
    "clear_where",
    "show_where",
    "showable",
]

_NO_TEXT = "query"
_SHARE = 64  # images that are written together

_Item = tuple[str, str]  # id and path
_Found = tuple[_Item, Places | str]  # the places, or why there are none


@dataclass(frozen=True)
class Where:
    """What was shown.

    Attributes:
        field: field of the boxes
        heatmap_field: field of the heat maps
        images: that have labels now
        boxes: in all of these
        failed: path of each image that could not be read, and the reason
        seconds: duration of the run
    """

    field: str
    heatmap_field: str
    images: int
    boxes: int
    failed: dict[str, str]
    seconds: float


def show_where(
    index: Index,
    samples: foc.SampleCollection,
    query: str | np.ndarray,
    field: str = FIELD,
    heatmap_field: str = HEATMAP_FIELD,
    max_boxes: int = 3,
    label: str | None = None,
    options: EncodeOptions = DEFAULT,
) -> Run:
    """Labels where images match a query.

    Every image gets Detections, with the cosine of the window that matched as
    ``score`` and the same between 0 and 1 as ``confidence``, and a Heatmap. An image in
    which nothing stands out has no boxes and a heat map of zeros; otherwise the best
    place is shown, whether or not it is what was looked for: mind the scores. Labels of
    an earlier query are replaced in these images, and stay in others.

    Images whose patch features are stored are not encoded, and their files not read.

    Args:
        index: an index that was computed by detail-embed, of any kind,
            or the whole-image index beside it
        samples: a dataset or view of images
        query: a line as of :mod:`detail_embed.texts.query`, such as ``"a helmet, -a
            bicycle"``, or a vector ``(d,)`` in the space of the index
        field ("detail_where"): of the boxes; made where missing
        heatmap_field ("detail_heatmap"): of the heat maps; made where missing
        max_boxes (3): boxes per image, at most
        label (None): of the boxes; by default the text of the query, up to 40
            characters of it
        options (DEFAULT): how files are read and encoded

    Returns:
        a :class:`.runs.run.Run` with a :class:`Where`; nothing is done until it is
        iterated over

    Raises:
        ValueError: if the samples, the query, the brain key or a field cannot be used
    """
    samples = index.images_of(samples)
    check_show_where(index, samples, query, field, heatmap_field, max_boxes)
    options.check_options()
    fields = WhereFields(field, heatmap_field)
    return Run(_show(index, samples, query, fields, max_boxes, label, options))


def check_show_where(
    index: Index,
    samples: foc.SampleCollection,
    query: str | np.ndarray,
    field: str = FIELD,
    heatmap_field: str = HEATMAP_FIELD,
    max_boxes: int = 3,
) -> None:
    """Checks all that can be checked quickly; see :func:`show_where`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    index.images_of(samples)
    require_record(index)
    if isinstance(query, np.ndarray):
        _check_vector(query)
    else:
        resolve.vectors(index, _parse(query).concepts)
    is_number = is_a(Integral, max_boxes)
    if not is_number or max_boxes < 1:
        raise ValueError(
            f"max_boxes must be a whole number of at least 1, not {max_boxes!r}"
        )
    WhereFields(field, heatmap_field).check(index.home)


def _show(
    index: Index,
    samples: foc.SampleCollection,
    query: str | np.ndarray,
    fields: WhereFields,
    max_boxes: int,
    label: str | None,
    options: EncodeOptions,
) -> Generator[Progress, None, Where]:
    started = time.monotonic()
    dataset, home = index.dataset, index.home_of(samples)
    record = require_record(index)
    yield Progress("Loading the model", 0.0)
    model = record.text_space(record.space)
    space = DetailModel(model, zoo.source_directory()).space
    vector = _encode(index, query, space)
    text = label or (query if isinstance(query, str) else _NO_TEXT)
    fields.declare(home)

    items = list(zip(*samples.values(["id", "filepath"])))
    places: dict[str, Places] = {}
    failed: dict[str, str] = {}
    images = boxes = 0
    pace = Pace(len(items))
    finding = _find(items, space, dataset, record, vector, max_boxes, options)
    with closing(finding) as found:
        for done, ((id, path), result) in enumerate(found, 1):
            if isinstance(result, str):
                failed[path] = result
            else:
                places[id] = result
                images, boxes = images + 1, boxes + len(result.boxes)
            if len(places) == _SHARE:
                fields.write(home, places, text)
                places.clear()
            yield pace.report(done, len(failed))
    fields.write(home, places, text)
    seconds = time.monotonic() - started
    return Where(fields.boxes, fields.heat, images, boxes, failed, seconds)


def _find(
    items: Sequence[_Item],
    space: EmbeddingSpace,
    dataset: fo.Dataset,
    record: records.Record,
    query: Tensor,
    max_boxes: int,
    options: EncodeOptions,
) -> Iterator[_Found]:
    """Localises in what is stored, then encodes the rest."""
    cover = space.cover if space.cover.c not in (1, NO_COVER) else CompleteCover()
    store = _open_store(dataset, record, patch_slug(space.backbone, cover))
    if store is not None:
        store.hide(store.changed(items, True, options.read_seconds))
    held = [item for item in items if store is not None and item[0] in store]
    for item in held:
        image = store[item[0]]
        places = localise(image.features, image.boxes, image.levels, query, max_boxes)
        yield item, places
    stored = {id for id, _ in held}
    rest = [item for item in items if item[0] not in stored]
    encoding = iter_patch_features(rest, space.backbone, cover, options)
    with closing(encoding) as images:
        for image in images:
            item = image.id, image.path
            if image.features is None:
                yield item, image.reason
                continue
            size = image.width, image.height
            windows = cover.boxes(*size), cover.levels(*size)
            yield item, localise(image.features, *windows, query, max_boxes)


def _open_store(
    dataset: fo.Dataset, record: records.Record, slug: str
) -> FeatureStore | None:
    """The features that the index was made from, or others of the same patches."""
    if record.features and (Path(record.features) / LABEL).is_file():
        store = FeatureStore.open(record.features)
        if store.slug == slug:
            return store
    return feature_stores.find(dataset, slug)


def _parse(text: str) -> Query:
    query = read_query(text)
    if query.is_only_negative:
        raise ValueError(
            f"{text!r:.80} only says what not to look for, which is in no place: add "
            "what to look for"
        )
    return query


def _check_vector(query: np.ndarray) -> None:
    shape = np.shape(query)
    if len(shape) != 1 or not np.isfinite(query).all() or not np.any(query):
        raise ValueError(
            f"the query must be a text or a finite vector that is not 0, not {shape}"
        )


def _encode(
    index: Index, query: str | np.ndarray, space: EmbeddingSpace
) -> Tensor:
    if isinstance(query, str):
        query, device = _parse(query), space.backbone.device
        known = {
            name: torch.tensor(vector, device=device)
            for name, vector in resolve.vectors(index, query.concepts).items()
        }
        return query.encode(
            space.backbone, concept=known.__getitem__, words=space.words
        )
    if len(query) != space.dim:
        raise ValueError(
            f"the query has {len(query)} dimensions, but the index is of a space of "
            f"{space.dim}: it is of another model"
        )
    return torch.from_numpy(np.asarray(query, np.float32))
