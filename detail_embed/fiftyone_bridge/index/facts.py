"""What is known of the similarity indexes of a dataset, for a list of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
from fiftyone.core.runs import BaseRunInfo

from detail_embed.fiftyone_bridge.index import (
    brain_runs,
    feature_stores,
    learned_words,
    names,
    records,
)
from detail_embed.fiftyone_bridge.index import index as parts
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.samples import patch_detections
from detail_embed.fiftyone_bridge.samples.frames import Frames, Home, label_path
from detail_embed.fiftyone_bridge.samples.vector_counts import (
    Count,
    count,
    count_in_time,
)

OURS = "detail"
WHOLE = "whole image"
SINGLE = "one vector an image"
BOXES = "boxes of a label field"
OTHER = "other"


_KINDS = {parts.WHOLE: WHOLE, parts.SINGLE: SINGLE, parts.BOXES: BOXES}


@dataclass(frozen=True)
class IndexFacts:
    """What is known of an index.

    Attributes:
        brain_key: of the index
        kind: ``OURS``; ``WHOLE``, ``SINGLE`` or ``BOXES`` for those beside one of
            ours; or ``OTHER``
        space: slug of the space; of other indexes, name of the model
        backbone: of ours, the name of the open_clip model, else None
        cover: of ours, c of the Complete Cover or ``"auto"``, else None
        fuser: of ours, name of the fuser, the chosen one if it was left open
        reason: why ``"auto"`` chose it, else empty
        vectors: per image; None where they are of labels
        dim: d; None where nothing is embedded, or the backend keeps the vectors
        backend: of the similarity index; None if it was not finished
        created: when, UTC
        images: that are indexed; None where only the backend knows, and until they
            are counted
        vector_bytes: what the vectors take as float32; None likewise
        feature_bytes: what the stored patch features take on the disk, which indexes
            of the same backbone and cover share; None where there are none
        searches: what kinds of search it allows: ``"single vector"``,
            ``"<k> vectors"`` or ``"vectors of labels"``, and ``"re-ranked"`` where
            patch features are stored; none if it was not finished
        is_counted: whether all is known that can be, see ``seconds`` of :func:`facts`
        learned: what words it has learned, such as ``"45 learned words, from the boxes
            in 'ground_truth': on held-out images mAP 11.8 before, 73.5 after"``; empty
            for none
    """

    brain_key: str
    kind: str
    space: str
    backbone: str | None
    cover: int | str | None
    fuser: str | None
    reason: str
    vectors: int | None
    dim: int | None
    backend: str | None
    created: datetime.datetime
    images: int | None
    vector_bytes: int | None
    feature_bytes: int | None
    searches: tuple[str, ...]
    is_counted: bool = True
    learned: str = ""


def facts(dataset: fo.Dataset, seconds: float | None = None) -> list[IndexFacts]:
    """Lists the indexes that can be searched by text, ours first.

    Ours that were cut short before they could be searched are there, too: they can be
    updated and deleted. Fields are counted in one pass over the samples, and not again
    until a sample changes; no vectors are loaded.

    Args:
        dataset: the dataset
        seconds (None): after which those of many images are given without counts, see
            :func:`.count_in_time`; by default all are counted
    """
    entries = _entries(dataset)
    counts = _counts(dataset, entries, seconds)
    sizes = {
        entry.record.features: feature_stores.num_bytes(entry.record.features)
        for entry in entries
        if entry.record and entry.record.features
    }
    return [
        _describe(entry, counts.get((entry.of_frames, entry.path)), sizes)
        for entry in entries
    ]


def of_index(index: Index) -> IndexFacts | None:
    """The :func:`facts` of one index; None where it cannot be searched by text."""
    known = facts(index.dataset)
    return next((found for found in known if found.brain_key == index.key), None)


def of_kind(dataset: fo.Dataset, kind: str) -> list[IndexFacts]:
    """Lists the :func:`facts` of one kind of index."""
    return [index for index in facts(dataset) if index.kind == kind]


@dataclass(frozen=True)
class _Entry:
    """An index, its run, where its vectors are, and the record it belongs to."""

    brain_key: str
    kind: str
    run: BaseRunInfo
    path: str | None
    record: Record | None = None
    of_frames: bool = False


def _counts(
    dataset: fo.Dataset, entries: Sequence[_Entry], seconds: float | None
) -> dict[tuple[bool, str | None], Count | None]:
    """What is held where: by whether it is of frames, and path."""
    found = {}
    for of_frames in {entry.of_frames for entry in entries}:
        home = Frames(dataset) if of_frames else dataset
        mine = [entry.path for entry in entries if entry.of_frames == of_frames]
        paths = list(dict.fromkeys(filter(None, mine)))
        counts = (
            count(home, paths) if seconds is None
            else count_in_time(home, paths, seconds)
        )
        found |= {(of_frames, path): held for path, held in counts.items()}
    return found


def _entries(dataset: fo.Dataset) -> list[_Entry]:
    runs = {key: dataset.get_brain_info(key) for key in brain_runs.promptable(dataset)}
    entries = []
    for key, record in records.read_all(dataset).items():
        run = runs.pop(key, None) or dataset.get_run_info(key)
        index = Index(dataset, key)
        path = names.index_field(key, record.vectors > 1)
        if record.vectors > 1:
            path = f"{path}.detections.{patch_detections.VECTOR}"
        of_frames = index.is_of_frames
        entries.append(_Entry(key, OURS, run, path, record, of_frames))
        for one in index.beside:
            if one.key in runs:
                run, kind = runs.pop(one.key), _KINDS[one.find()[1]]
                path = one.field
                if kind == BOXES:  # of nothing where the label field is gone
                    path = _path_of(index.home, run) or one.vector_field
                entries.append(_Entry(one.key, kind, run, path, record, of_frames))
    for key, run in runs.items():
        index = Index(dataset, key)
        path = _path_of(index.home, run)
        entries.append(_Entry(key, OTHER, run, path, None, index.is_of_frames))
    return entries


def _path_of(home: Home, run: BaseRunInfo) -> str | None:
    """Where the vectors of an index are; None where only its backend has them."""
    field, labels = run.config.embeddings_field, run.config.patches_field
    if field is None or labels is None:
        return field
    if not home.has_field(labels):
        return None
    return label_path(home, labels, field)


def _describe(
    entry: _Entry, held: Count | None, sizes: Mapping[str, int | None]
) -> IndexFacts:
    record, config = entry.record, entry.run.config
    is_finished = config.method != records.METHOD
    own = record if entry.kind == OURS else None
    vectors = own.vectors if own else 1
    if own is None and config.patches_field is not None:
        vectors = None
    size = record and sizes.get(record.features)
    return IndexFacts(
        brain_key=entry.brain_key,
        kind=entry.kind,
        space=_space(entry),
        backbone=record and record.identity["backbone"],
        cover=1 if entry.kind == WHOLE else record and record.identity["cover"],
        fuser=_fuser(entry),
        reason=own.reason if own else "",
        vectors=vectors,
        dim=held and held.dim,
        backend=config.method if is_finished else None,
        created=entry.run.timestamp,
        images=held and held.images,
        vector_bytes=held and held.num_bytes,
        feature_bytes=size if own else None,
        searches=_searches(vectors, size is not None) if is_finished else (),
        is_counted=held is not None or entry.path is None,
        learned=learned_words.in_words(own) if own else "",
    )


def _space(entry: _Entry) -> str:
    record = entry.record
    if record is None:
        return entry.run.config.model
    spaces = {OURS: record.space, SINGLE: record.single_space}
    return spaces.get(entry.kind, record.global_space)


def _fuser(entry: _Entry) -> str | None:
    record = entry.record
    if record is None:
        return None
    if entry.kind == OURS:
        return record.fuser
    return record.single_fuser if entry.kind == SINGLE else "mean"


def _searches(vectors: int | None, has_features: bool) -> tuple[str, ...]:
    names = {None: "vectors of labels", 1: "single vector"}
    first = names.get(vectors, f"{vectors} vectors")
    return (first, "re-ranked") if has_features else (first,)
