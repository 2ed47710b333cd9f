"""The vectors of an index in a file that all processes map, so that it is read once.

Out of MongoDB they come at some ten thousand a second: for a large index that is more
than a minute. So whoever has read them writes them as they are in memory, in float32,
beside the features of the dataset. The next process maps the file and reads out of
MongoDB what has changed since, by the times of all samples when it was written.
"""

from __future__ import annotations

import json
import mmap
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.index.leftovers import EXACT, folder_of, note_owner
from detail_embed.fiftyone_bridge.index.stored_vectors import Place
from detail_embed.fiftyone_bridge.samples.changes import milliseconds
from detail_embed.patch_search.vector_part import (
    COUNTS,
    ID,
    IDS,
    LABELS,
    Block,
    write_owners,
)
from detail_embed.storage.whole_files import whole_folder, write_whole

LEAST_BYTES = 2**26  # of vectors in float32, which take a second or more to read
Times = dict[str, "int | None"]  # in ms, see :func:`.changes.times`
_LABEL, _FORMAT = "exact.json", 1
_MATRIX = "vectors.f32"
_OLD_SECONDS = 600.0
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Changes:
    """How the samples were when vectors were read.

    Attributes:
        digest: of the times, see :func:`.changes.digest`
        times: when every sample was changed
    """

    digest: list[int]
    times: Times


@dataclass(frozen=True, eq=False)
class Shared:
    """Vectors that some process wrote.

    Attributes:
        vectors: them, mapped
        digest: as of :class:`Changes`
    """

    vectors: IndexVectors
    digest: list[int]
    _times: Path

    @property
    def times(self) -> Times:
        """As of :class:`Changes`; they are read."""
        with np.load(self._times) as held:
            ids, values = held["ids"].astype(str).tolist(), held["times"].tolist()
        return dict(zip(ids, [None if t == _NEVER else t for t in values]))


class Names(Sequence[str]):
    """Ids as bytes in an array: a million take 24 MB, and no time to read."""

    def __init__(self, array: np.ndarray):
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, some: Any) -> Any:
        found = self._array[some]
        if isinstance(found, bytes):
            return found.decode()
        return found.astype(str).tolist()

    def __iter__(self) -> Iterator[str]:
        return iter(self[:])


def folder(index: Index) -> Path:
    """Where the file of an index is; it need not exist."""
    return folder_of(index.dataset) / f"{EXACT}{index.key}"


def find(index: Index, place: Place, made: datetime) -> Shared | None:
    """Opens the vectors of an index that some process wrote.

    Args:
        index: the index
        place: where its vectors are in MongoDB
        made: when it was

    Returns:
        them; None where there are none of this very index
    """
    root = folder(index)
    for _ in range(2):  # another process may put newer ones in their place
        try:
            label = json.loads((root / _LABEL).read_text("utf-8"))
            if label["format"] != _FORMAT or label["of"] != _of(index, place, made):
                return None
            vectors = _open(root / label["vectors"], label["dim"])
            return Shared(vectors, label["digest"], root / label["times"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return None


def write(
    index: Index,
    place: Place,
    made: datetime,
    samples: Changes,
    blocks: Iterable[Block],
) -> IndexVectors | None:
    """Writes vectors for all processes, in place of those that were there.

    Args:
        index: the index
        place: where its vectors are in MongoDB
        made: when it was
        samples: how these were, as the vectors were read
        blocks: them

    Returns:
        them, mapped; None where there are none

    Raises:
        OSError: if the disk is full, or cannot be written to
    """
    root, dim, name = folder(index), 0, f"vectors-{uuid4().hex}"
    with whole_folder(root / name) as partial, (partial / _MATRIX).open("wb") as file:

        def put(vectors: np.ndarray) -> None:
            nonlocal dim
            dim = vectors.shape[1]
            np.ascontiguousarray(vectors, np.float32).tofile(file)

        write_owners(partial, blocks, put)
    if not dim:
        return None
    _label(index, place, made, samples, {"vectors": name, "dim": dim})
    return _open(root / name, dim)


def note(index: Index, place: Place, made: datetime, samples: Changes) -> None:
    """Writes that the vectors which are there are still right.

    Raises:
        OSError: if the disk is full, or cannot be written to
    """
    with suppress(FileNotFoundError):
        label = json.loads((folder(index) / _LABEL).read_text("utf-8"))
        _label(index, place, made, samples, label)


def _of(index: Index, place: Place, made: datetime) -> dict[str, Any]:
    """What tells an index from another under the same key."""
    record, _ = index.find()
    return {
        "made": milliseconds(made),
        "space": None if record is None else record.space,
        "field": place.field.removeprefix(index.key),  # so that it can be renamed
        "attribute": place.attribute,
    }


def _label(
    index: Index,
    place: Place,
    made: datetime,
    samples: Changes,
    label: Mapping[str, Any],
) -> None:
    """Puts vectors and times in place of those that were there; deletes these."""
    root, name = folder(index), f"times-{uuid4().hex}.npz"
    before = _read_label(root)
    _write_times(root / name, samples.times)
    label = {
        "format": _FORMAT, "of": _of(index, place, made), "times": name,
        "digest": samples.digest, "vectors": label["vectors"], "dim": label["dim"],
    }
    write_whole(root / _LABEL, json.dumps(label))
    note_owner(index.dataset)
    used = (_LABEL, label["times"], label["vectors"])
    for path in root.iterdir():
        if path.name not in used:
            _delete_old(path, path.name in before.values())


def _read_label(root: Path) -> dict[str, Any]:
    try:
        return json.loads((root / _LABEL).read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _delete_old(path: Path, is_sure: bool) -> None:
    """Deletes what is not used, unless another process may just be writing it."""
    with suppress(OSError):
        if is_sure or time.time() - path.stat().st_mtime > _OLD_SECONDS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _open(path: Path, dim: int) -> IndexVectors:
    with (path / _MATRIX).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_WILLNEED"):
        mapped.madvise(mmap.MADV_WILLNEED)
    labels = None
    if (path / LABELS).is_file():
        labels = Names(np.load(path / LABELS, mmap_mode="r"))
    ids, counts = np.load(path / IDS), np.load(path / COUNTS)
    matrix = np.frombuffer(mapped, np.float32).reshape(-1, dim)
    if len(ids) != len(counts) or counts.sum() != len(matrix):
        raise ValueError(f"{path} is damaged")
    return IndexVectors(
        ids.astype(str).tolist(), labels, np.cumsum(counts) - counts, matrix
    )


def _write_times(path: Path, times: Times) -> None:
    values = [_NEVER if time is None else time for time in times.values()]
    np.savez(path, ids=np.array(list(times), ID), times=np.array(values, np.int64))
