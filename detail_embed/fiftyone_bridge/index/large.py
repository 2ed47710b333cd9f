"""Indexes of more vectors than a process should hold: mapped files beside the features.

Up to :data:`MOST_BYTES` the vectors of an index are read into memory, or mapped, see
:mod:`.shared`, and every search is exact. Beyond it they are coded in files, which a
computation or an update completes and all processes map; the samples in MongoDB say
which of them still count.
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

from detail_embed.fiftyone_bridge.index import shared, stored_vectors
from detail_embed.fiftyone_bridge.index.index import BOXES, Index
from detail_embed.fiftyone_bridge.index.leftovers import CODED, folder_of, note_owner
from detail_embed.fiftyone_bridge.index.stored_vectors import Place
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples import patch_detections, vector_field
from detail_embed.fiftyone_bridge.samples.frames import documents_of
from detail_embed.fiftyone_bridge.samples.mongo import MODIFIED
from detail_embed.fiftyone_bridge.samples.private_names import dataset_id
from detail_embed.patch_search.vector_files import VectorFiles
from detail_embed.patch_search.vector_part import Block

MOST_BYTES = 2**31  # of vectors in float32 that a process reads into its memory
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
    return folder_of(index.dataset) / f"{CODED}{index.key}"


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
    """Deletes the files of an index, if there are any; who maps them keeps them."""
    for path in (folder(index), shared.folder(index)):
        shutil.rmtree(path, ignore_errors=True)


def rename(index: Index, new: Index) -> None:
    """Gives the files of an index to the key of another."""
    forget(new)
    for place in (folder, shared.folder):
        if place(index).is_dir():
            place(index).rename(place(new))


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
        field, attribute = _place(index).field, _place(index).attribute
        path = field if attribute is None else f"{field}.detections.{attribute}"
        found = documents_of(index.home).find_one({path: {"$ne": None}}, {"_id": 1})
        if found is None:
            return 0
        some = vector_field.read_some(index.home, field, [str(found["_id"])], attribute)
        _dims[place] = next(some).vectors.shape[1]
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
    place = _place(index)
    found = vector_field.blocks(index.home, field, wanted, place.attribute)
    for block in stored_vectors.usable(index, found, ()):
        if block.labels is not None:
            held = files.held(block.ids)
            ends = np.cumsum(block.counts)
            owned = zip(block.ids, (ends - block.counts).tolist(), ends.tolist())
            new = [held.get(id) != block.labels[a:b] for id, a, b in owned]
            block = stored_vectors.some(block, np.array(new, bool))
        if block.ids:
            yield block


def _place(index: Index) -> Place:
    is_few = index.field == index.patches_field
    return Place(index.field, patch_detections.VECTOR if is_few else None)
