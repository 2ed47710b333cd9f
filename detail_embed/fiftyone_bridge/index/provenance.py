"""What each vector of an index was made of: its space, and its file as it was."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from detail_embed.engine.chunk import Chunk
from detail_embed.fiftyone_bridge.index import box_sources
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples.frames import (
    Home,
    documents_of,
    write_images,
)
from detail_embed.fiftyone_bridge.samples.mongo import patiently
from detail_embed.fiftyone_bridge.samples.sink import Column
from detail_embed.images.file_source import FileSource, is_same
from detail_embed.images.look import look, states
from detail_embed.images.read_pool import READ_SECONDS

logger = logging.getLogger(__name__)

CHANGED = "their files have changed"
BOXES = "their boxes have changed"
UNKNOWN = "unknown"

_BLOCK = 10_000  # images that are looked at, at a time


@dataclass
class Stale:
    """The vectors of an index that are not to be used any more.

    Attributes:
        present: the images that have a vector
        changed: those of them whose file is another than the one it was made of
        boxes: the others of them that have other boxes than it was made of
        foreign: how many have a vector of another space, by space; ``UNKNOWN`` where
            nobody knows what it is of
        ids: all that are changed or foreign, or have other boxes
        silent: the images of whose file nothing came, so nobody knows whether it is
            another: they stay as they are
    """

    present: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    boxes: set[str] = field(default_factory=set)
    foreign: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)

    @property
    def reasons(self) -> dict[str, int]:
        """How many are stale, by a reason in words."""
        found = {CHANGED: len(self.changed), BOXES: len(self.boxes)}
        return {reason: count for reason, count in found.items() if count} | {
            f"their vectors were of the space {space}": count
            for space, count in sorted(self.foreign.items())
        }


def column(space: str, few: bool) -> Column:
    """Makes what is written of the images of a chunk, beside their vectors.

    Args:
        space: slug of the space of the vectors
        few: whether an image has a few
    """

    def values(chunk: Chunk) -> Iterator[dict[str, Any]]:
        counts = (len(image.vectors) for image in chunk.patches) if few else None
        boxes = iter(chunk.boxes)
        for source in chunk.sources:
            value = _value(space, source, next(counts) if few else 1)
            noted = {"boxes": box_sources.note(next(boxes))} if chunk.boxes else {}
            yield value | noted

    return values


def check(
    index: Index, items: Sequence[tuple[str, str]], read_seconds: float = READ_SECONDS
) -> Generator[Progress, None, Stale]:
    """Looks for vectors that are not of this space, or not of their file as it is.

    Files that were moved or touched, with the same content, are noted and stay. So do
    vectors of files that are not there now, and all that an index of an older version
    has when it is looked at for the first time.

    Args:
        index: one of ours
        items: ids and paths
        read_seconds (READ_SECONDS): that a file may be waited for

    Returns:
        what was found
    """
    if not index.record.sources:
        _adopt(index, read_seconds)
    space, stale = index.record.space, Stale()
    for start in range(0, len(items), _BLOCK):
        paths = dict(items[start : start + _BLOCK])
        held = _read(index, list(paths))
        stale.present.update(held)
        ours = {}
        for id, (value, count) in held.items():
            if value.get("space") != space or value.get("vectors") != count:
                stale.foreign[value.get("space") or UNKNOWN] += 1
                stale.ids.add(id)
            else:
                ours[id] = FileSource(value["state"], value["content"])
        moved = {}
        known_at = ((source, paths[id]) for id, source in ours.items())
        for (id, known), found in zip(ours.items(), look(known_at, read_seconds)):
            if found is None:
                stale.silent.add(id)
            elif not is_same(known, found):
                stale.changed.add(id)
            elif found.state != known.state:
                moved[id] = found
        stale.ids |= stale.changed
        boxes = box_sources.now(index, list(held))
        stale.boxes.update(
            id for id, (value, _) in held.items()
            if id not in stale.ids and (value.get("boxes") or {}) != boxes.get(id, {})
        )
        stale.ids |= stale.boxes
        _note(index, moved)
        done = start + len(paths)
        if held:
            yield Progress(f"{done:,} of {len(items):,} files checked", 0.0)
    for reason, count in stale.reasons.items():
        logger.info("%d images are embedded anew: %s", count, reason)
    if stale.silent:
        logger.warning(
            "%d files gave nothing within %g s, and keep the vectors they have: "
            "whether they have changed is not known", len(stale.silent), read_seconds,
        )
    return stale


def _adopt(index: Index, read_seconds: float) -> None:
    """Notes what the vectors of an index of an older version are of, once for all.

    Nobody wrote it down: of the space of the index, and of their files as they are.
    """
    record = index.record
    unknown = {index.field: {"$ne": None}, index.source_field: None}
    found = documents_of(index.home).find(unknown, {"filepath": 1})
    paths = {str(document["_id"]): document["filepath"] for document in found}
    ids = list(paths)
    for start in range(0, len(ids), _BLOCK):
        some = ids[start : start + _BLOCK]
        held = _read(index, some)
        there = [id for id in some if id in held]
        now = states((paths[id] for id in there), read_seconds)
        noted = {
            id: _value(record.space, FileSource(state or ""), held[id][1])
            for id, state in zip(there, now)
        }
        _write(index.home, {id: {index.source_field: v} for id, v in noted.items()})
    index.write(replace(record, sources=True))


def sources(index: Index, ids: Sequence[str]) -> dict[str, FileSource]:
    """What the files of images were that have a vector, as far as it is known."""
    base = _noted(index)
    if base is None:
        return {}
    found = _read(base, ids)
    return {
        id: FileSource(value["state"], value["content"])
        for id, (value, _) in found.items() if value.get("state")
    }


def foreign_ids(index: Index, among: Sequence[str] | None = None) -> list[str]:
    """The images whose vector is known to be of another space than the index.

    Args:
        index: one of ours, or beside one of ours; others have none
        among (None): only these images
    """
    base = _noted(index)
    if base is None:
        return []
    others: dict[str, Any] = {
        f"{base.source_field}.space": {"$nin": [base.record.space, None]}
    }
    if among is not None:
        others = {"_id": {"$in": [ObjectId(id) for id in among]}, **others}
    found = documents_of(index.home).find(others, {"_id": 1})
    return [str(document["_id"]) for document in found]


def _noted(index: Index) -> Index | None:
    """The index of ours whose sources an index shares; None where none are noted."""
    record, part = index.find()
    base = index.base if part else index
    is_noted = record is not None and index.home.has_field(base.source_field)
    return base if is_noted else None


def _value(space: str, source: FileSource | None, count: int) -> dict[str, Any]:
    source = source or FileSource("")
    return {
        "space": space,
        "state": source.state,
        "content": source.content,
        "vectors": count,
    }


def _read(
    index: Index, ids: Sequence[str]
) -> dict[str, tuple[Mapping[str, Any], int]]:
    """What is noted of the images that have a vector, and how many they have."""
    count: dict[str, Any] = {"$literal": 1}
    if index.record.vectors > 1:
        count = {"$size": {"$ifNull": [f"${index.field}.detections", []]}}
    found = documents_of(index.home).aggregate(
        [
            {"$match": {"_id": {"$in": [ObjectId(id) for id in ids]}}},
            {"$match": {index.field: {"$ne": None}}},
            {"$project": {"source": f"${index.source_field}", "count": count}},
        ]
    )
    return {str(d["_id"]): (d.get("source") or {}, d["count"]) for d in found}


def _note(index: Index, moved: Mapping[str, FileSource]) -> None:
    name = index.source_field
    _write(
        index.home,
        {
            id: {f"{name}.state": source.state, f"{name}.content": source.content}
            for id, source in moved.items()
        },
    )


def _write(home: Home, values: Mapping[str, Mapping[str, Any]]) -> None:
    operations = [
        UpdateOne({"_id": ObjectId(id)}, {"$set": new}) for id, new in values.items()
    ]
    if operations:
        patiently(write_images, home, operations, list(values))
