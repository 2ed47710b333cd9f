"""Indexes of more vectors than a process should hold: mapped files beside the features.

Up to :data:`MOST_BYTES` the vectors of an index are read into memory, and every search
is exact. Beyond it they are in files, which a computation or an update completes and
all processes map; the samples in MongoDB say which of them still count.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from bson import ObjectId

from detail_embed.fiftyone_bridge.index.index import BOXES, Index
from detail_embed.fiftyone_bridge.index.leftovers import folder_of, note_owner
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples import patch_detections, vector_field
from detail_embed.fiftyone_bridge.samples.frames import documents_of
from detail_embed.fiftyone_bridge.samples.mongo import MODIFIED
from detail_embed.fiftyone_bridge.samples.private_names import dataset_id
from detail_embed.patch_search.vector_files import VectorFiles
from detail_embed.patch_search.vector_part import Block

MOST_BYTES = 2**31  # of vectors in float32 that a process reads into its memory
_BLOCK = 2000  # images in memory at once
_WIDEST = 4096  # dimensions of any backbone
_open: dict[Path, tuple[int, VectorFiles]] = {}
_dims: dict[tuple[ObjectId, str], int] = {}
_lock = threading.Lock()


def is_large(index: Index) -> bool:
    """Whether an index of ours holds more vectors than are read into memory.

    Those of boxes, and those of others, are not counted.
    """
    record, part = index.find()
    if record is None or part == BOXES:
        return False
    each = 4 * (1 if part else record.vectors)
    images = documents_of(index.home).estimated_document_count()
    if images * each * _WIDEST <= MOST_BYTES:
        return False
    return images * each * _dim(index) > MOST_BYTES


def folder(index: Index) -> Path:
    """Where the files of an index are; they need not exist."""
    return folder_of(index.dataset) / f"vectors-{index.key}"


def open_files(index: Index) -> VectorFiles:
    """Opens the files of a large index, as they are now.

    Raises:
        ValueError: if there are none, or those of another space
    """
    path = folder(index)
    with _lock:
        known = _open.get(path)
        files = known[1] if known else None
        if files is None or not path.is_dir() or files.state != known[0]:
            files = VectorFiles.open(path)
            if files is not None:
                _open[path] = files.state, files
    if files is None or files.slug != _space(index) or not len(files):
        raise ValueError(
            f"the index {index.key!r} holds more vectors than are read into memory "
            f"({MOST_BYTES / 1e9:.1f} GB), and they are not in files yet: update it"
        )
    return files


def check_fits(index: Index) -> None:
    """Checks that the vectors of an index may be read into memory.

    Raises:
        ValueError: if they are too many
    """
    if is_large(index):
        raise ValueError(
            f"the index {index.key!r} holds more vectors than are read into memory "
            f"({MOST_BYTES / 1e9:.1f} GB): it can be searched by text; for this, "
            "compute an index of a smaller dataset, or of one vector per image"
        )


def complete(index: Index) -> Generator[Progress, None, None]:
    """Puts vectors into files that are new or were changed since the last time.

    Nothing is done for an index that fits into memory.

    Args:
        index: one of ours, all of whose vectors are in their field
    """
    if not is_large(index):
        return
    path, space = folder(index), _space(index)
    files = VectorFiles.open(path)
    if files is None or files.slug != space:
        files = VectorFiles.create(path, space)
        note_owner(index.dataset)
    now = _now(index)
    since = datetime.fromisoformat(files.note) if files.note else None
    total = documents_of(index.home).estimated_document_count()
    total *= index.record.vectors if index.record else 1
    for done in files.add(_blocks(index, files, since), note=now.isoformat()):
        yield Progress(f"{done:,} vectors of {total:,} put into files", 1.0)


def forget(index: Index) -> None:
    """Deletes the files of an index, if there are any."""
    shutil.rmtree(folder(index), ignore_errors=True)


def rename(index: Index, new: Index) -> None:
    """Gives the files of an index to the key of another."""
    if folder(index).is_dir():
        forget(new)
        folder(index).rename(folder(new))


def still_there(index: Index, ids: Sequence[str]) -> set[str]:
    """Those of some images that have a vector of the index now, by the database."""
    record, _ = index.find()
    source = f"{index.base.source_field}.space"
    wanted = {
        "_id": {"$in": [ObjectId(id) for id in ids]},
        index.field: {"$ne": None},
        source: {"$in": [record.space, None]},
    }
    found = documents_of(index.home).find(wanted, {"_id": 1})
    return {str(document["_id"]) for document in found}


def _space(index: Index) -> str:
    record, part = index.find()
    return f"{record.space}{'-' if part else ''}{part}"


def _dim(index: Index) -> int:
    """Of the vectors; 0 where there are none."""
    place = dataset_id(index.dataset), index.key
    if place not in _dims:
        files = VectorFiles.open(folder(index))
        if files is not None and files.parts:
            return files.parts[0].vectors.shape[1]
        document = documents_of(index.home).find_one({index.field: {"$ne": None}})
        if document is None:
            return 0
        _dims[place] = len(_vectors(document[index.field])[0][0])
    return _dims[place]


def _now(index: Index) -> datetime:
    """By the clock of the database, which writes when samples were changed."""
    return documents_of(index.home).database.command("hello")["localTime"]


def _blocks(
    index: Index, files: VectorFiles, since: datetime | None
) -> Iterator[Block]:
    """The vectors of images that are not in files as they are now."""
    record, _ = index.find()
    field, source = index.field, index.base.source_field
    wanted: dict[str, Any] = {
        field: {"$ne": None}, f"{source}.space": {"$in": [record.space, None]}
    }
    if since is not None:
        wanted[MODIFIED] = {"$gte": since}
    kept = {field: 1}
    if index.field == index.patches_field:
        path = f"{field}.detections."
        kept = {path + "_id": 1, path + patch_detections.VECTOR: 1}
    batch: dict[str, tuple[list[np.ndarray], list[str] | None]] = {}
    for document in documents_of(index.home).find(wanted, kept):
        batch[str(document["_id"])] = _vectors(document[field])
        if len(batch) == _BLOCK:
            yield from _block(files, batch)
            batch = {}
    yield from _block(files, batch)


def _vectors(value: Any) -> tuple[list[np.ndarray], list[str] | None]:
    """The vectors of a field of an image, and the ids of their labels."""
    if not isinstance(value, dict):
        return [vector_field.decode(value)], None
    labels = [
        one for one in value.get("detections") or ()
        if one.get(patch_detections.VECTOR) is not None
    ]
    vectors = [vector_field.decode(one[patch_detections.VECTOR]) for one in labels]
    return vectors, [str(one["_id"]) for one in labels]


def _block(
    files: VectorFiles, batch: dict[str, tuple[list[np.ndarray], list[str] | None]]
) -> Iterator[Block]:
    held = files.held(batch)
    ids = [
        id for id, (vectors, labels) in batch.items()
        if vectors and (labels is None or held.get(id) != labels)
        and all(np.isfinite(vector).all() for vector in vectors)
    ]
    if not ids:
        return
    matrix = np.stack([vector for id in ids for vector in batch[id][0]])
    matrix = matrix.astype(np.float32)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    matrix /= np.where(lengths > 0, lengths, 1)
    labels = None
    if batch[ids[0]][1] is not None:
        labels = [label for id in ids for label in batch[id][1]]
    yield Block(ids, np.array([len(batch[id][0]) for id in ids]), matrix, labels)
