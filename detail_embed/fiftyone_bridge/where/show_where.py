"""Labels that show where images match a query: boxes, and a heat map."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from torch import Tensor

from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import NO_COVER
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.features import FeatureStore
from detail_embed.features.label import LABEL, patch_slug
from detail_embed.fiftyone_bridge.index import feature_stores, records
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.model.detail_model import DetailModel
from detail_embed.fiftyone_bridge.runs.pace import Pace
from detail_embed.fiftyone_bridge.runs.run import Progress, Run
from detail_embed.fiftyone_bridge.where import wanted
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

__all__ = [
    "Where",
    "check_show_where",
    "clear_where",
    "show_where",
    "showable",
]

_SHARE = 64  # images that are written together

_Item = tuple[str, str]  # id and path
_Wanted = Sequence[tuple[str, Tensor]]  # texts of labels, and vectors
_Found = tuple[_Item, list[tuple[str, Places]] | str]  # or why there are none


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
    templates: str = "own",
) -> Run:
    """Labels where images match a query.

    Every prompt is looked for by itself, and "but not" counts for each. Every image
    gets Detections with their texts as labels, with the cosine of the window that
    matched as ``score`` and the same between 0 and 1 as ``confidence``, and a Heatmap
    of what is hottest of all. An image in which nothing stands out has no boxes and a
    heat map of zeros; otherwise the best place is shown, whether or not it is what was
    looked for: mind the scores. Labels of an earlier query are replaced in these
    images, and stay in others.

    Images whose patch features are stored are not encoded, and their files not read.

    Args:
        index: an index that was computed by detail-embed, of any kind,
            or the whole-image index beside it
        samples: a dataset or view of images
        query: a line as of :mod:`detail_embed.texts.query`, such as ``"a helmet, -a
            bicycle"``, or a vector ``(d,)`` in the space of the index
        field ("detail_where"): of the boxes; made where missing
        heatmap_field ("detail_heatmap"): of the heat maps; made where missing
        max_boxes (3): boxes per image and prompt, at most
        label (None): of the boxes; by default the text of their prompt, of one prompt
            the query as it is, up to 40 characters of it
        options (DEFAULT): how files are read and encoded
        templates ("own"): sentences around the prompts, see
            :mod:`detail_embed.texts.templates`

    Returns:
        a :class:`.runs.run.Run` with a :class:`Where`; nothing is done until it is
        iterated over

    Raises:
        ValueError: if the samples, the query, the brain key or a field cannot be used
    """
    samples = index.images_of(samples)
    check_show_where(
        index, samples, query, field, heatmap_field, max_boxes, templates
    )
    options.check_options()
    fields = WhereFields(field, heatmap_field)
    encode = partial(wanted.encode, index, query, label=label, templates=templates)
    return Run(_show(index, samples, encode, fields, max_boxes, options))


def check_show_where(
    index: Index,
    samples: foc.SampleCollection,
    query: str | np.ndarray,
    field: str = FIELD,
    heatmap_field: str = HEATMAP_FIELD,
    max_boxes: int = 3,
    templates: str = "own",
) -> None:
    """Checks all that can be checked quickly; see :func:`show_where`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    index.images_of(samples)
    require_record(index)
    wanted.check(index, query, templates)
    is_number = is_a(Integral, max_boxes)
    if not is_number or max_boxes < 1:
        raise ValueError(
            f"max_boxes must be a whole number of at least 1, not {max_boxes!r}"
        )
    WhereFields(field, heatmap_field).check(index.home)


def _show(
    index: Index,
    samples: foc.SampleCollection,
    encode: Callable[[EmbeddingSpace], _Wanted],
    fields: WhereFields,
    max_boxes: int,
    options: EncodeOptions,
) -> Generator[Progress, None, Where]:
    started = time.monotonic()
    dataset, home = index.dataset, index.home_of(samples)
    record = require_record(index)
    yield Progress("Loading the model", 0.0)
    model = record.text_space(record.space)
    space = DetailModel(model, zoo.source_directory()).space
    looked_for = encode(space)
    fields.declare(home)

    items = list(zip(*samples.values(["id", "filepath"])))
    places: dict[str, list[tuple[str, Places]]] = {}
    failed: dict[str, str] = {}
    images = boxes = 0
    pace = Pace(len(items))
    finding = _find(items, space, dataset, record, looked_for, max_boxes, options)
    with closing(finding) as found:
        for done, ((id, path), result) in enumerate(found, 1):
            if isinstance(result, str):
                failed[path] = result
            else:
                places[id] = result
                images += 1
                boxes += sum(len(one.boxes) for _, one in result)
            if len(places) == _SHARE:
                fields.write(home, places)
                places.clear()
            yield pace.report(done, len(failed))
    fields.write(home, places)
    seconds = time.monotonic() - started
    return Where(fields.boxes, fields.heat, images, boxes, failed, seconds)


def _find(
    items: Sequence[_Item],
    space: EmbeddingSpace,
    dataset: fo.Dataset,
    record: records.Record,
    looked_for: _Wanted,
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
        stored = image.features, image.boxes, image.levels
        yield item, _places(*stored, looked_for, max_boxes)
    done = {id for id, _ in held}
    rest = [item for item in items if item[0] not in done]
    encoding = iter_patch_features(rest, space.backbone, cover, options)
    with closing(encoding) as images:
        for image in images:
            item = image.id, image.path
            if image.features is None:
                yield item, image.reason
                continue
            size = image.width, image.height
            windows = cover.boxes(*size), cover.levels(*size)
            yield item, _places(image.features, *windows, looked_for, max_boxes)


def _places(
    features: Tensor, boxes: np.ndarray, levels: np.ndarray, looked_for: _Wanted,
    max_boxes: int,
) -> list[tuple[str, Places]]:
    return [
        (text, localise(features, boxes, levels, vector, max_boxes))
        for text, vector in looked_for
    ]


def _open_store(
    dataset: fo.Dataset, record: records.Record, slug: str
) -> FeatureStore | None:
    """The features that the index was made from, or others of the same patches."""
    if record.features and (Path(record.features) / LABEL).is_file():
        store = FeatureStore.open(record.features)
        if store.slug == slug:
            return store
    return feature_stores.find(dataset, slug)
