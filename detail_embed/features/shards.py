"""One shard of a feature store: a safetensors file, its checksum beside it."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import logging
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from detail_embed.images.file_source import FileSource
from detail_embed.storage.whole_files import digest, megabytes, whole_file, write_whole

logger = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_KNOWN = 4096  # shards whose images are remembered
_STALE_SECONDS = 3600  # an unfinished file so old is not being written any more


@dataclass(frozen=True, eq=False)
class ShardFile:
    """The features of ``n`` images in a file.

    Its label, a small JSON file of the same name, holds length and checksum. It
    is there before the shard is: a shard without one is damaged.

    Attributes:
        path: the safetensors file
        ids: the ``n`` images
        offsets: ``(n + 1,)`` int64, image ``i`` has the rows from
            ``offsets[i]`` to ``offsets[i + 1]``
        num_bytes: length of the file
        sha256: of the file
        written: when, in nanoseconds
        sources: what the ``n`` files were; None where that is not known
        precision: that they were encoded in; None where that is not known
    """

    path: Path
    ids: list[str]
    offsets: np.ndarray
    num_bytes: int
    sha256: str
    written: int
    sources: list[FileSource | None]
    precision: str | None = None

    @property
    def is_intact(self) -> bool:
        """Whether length and checksum are those of the file as it was written."""
        try:
            return digest(self.path) == self.sha256
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Removes the file and its label."""
        _unlink(self.path)


def map_shard(path: Path) -> dict[str, Tensor]:
    """The tensors of a shard; what is not read stays on the disk."""
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def write_shard(
    directory: Path,
    ids: list[str],
    offsets: np.ndarray,
    tensors: Mapping[str, Tensor],
    sources: list[FileSource | None],
    precision: str | None = None,
) -> ShardFile:
    """Writes a shard, whole or not at all.

    Args:
        directory: where to
        ids: ``n`` images
        offsets: ``(n + 1,)`` int64, see :class:`ShardFile`
        tensors: what is stored of their rows
        sources: what their ``n`` files were, as far as it is known
        precision (None): that they were encoded in; None where nobody knows

    Raises:
        RuntimeError: if the disk is full
    """
    rows = torch.from_numpy(offsets)
    files = [source and [source.state, source.content] for source in sources]
    names = {"ids": json.dumps(ids), "sources": json.dumps(files)}
    if precision is not None:
        names["precision"] = precision
    data = save({**tensors, "offsets": rows}, names)
    path = directory / f"shard_{uuid.uuid4().hex}.safetensors"
    label = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "written": time.time_ns(),
    }
    try:
        with whole_file(path) as new:
            new.write_bytes(data)
            write_whole(_label(path), json.dumps(label))
    except BaseException as error:
        _label(path).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            free = shutil.disk_usage(directory).free
            raise RuntimeError(
                f"disk full: {directory} needs {megabytes(len(data))}, "
                f"{megabytes(free)} free"
            ) from error
        raise
    return ShardFile(
        path, ids, offsets, len(data), label["sha256"], label["written"], sources,
        precision,
    )


def open_shards(directory: Path) -> list[ShardFile]:
    """Opens the shards of a folder, oldest first.

    Lengths are checked, checksums are not. A damaged shard is removed, with a
    warning; what a killed run left unfinished is removed too, once it is an
    hour old.
    """
    shards = []
    for path in directory.glob("shard_*.safetensors"):
        try:
            parts = (path.stat(), _label(path).stat())
            times = tuple(part.st_mtime_ns for part in parts)
            shards.append(_open(path, parts[0].st_size, times))
        except (
            FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError
        ) as error:
            remove(path, str(error))
    _sweep(directory)
    return sorted(shards, key=lambda shard: (shard.written, shard.path))


def remove(path: Path, reason: str) -> None:
    """Removes a damaged shard and its label, with a warning."""
    logger.warning("%s is damaged and done again: %s", path, reason)
    _unlink(path)


def _unlink(path: Path) -> None:
    """Removes a shard and its label."""
    for part in (path, _label(path)):
        part.unlink(missing_ok=True)


@functools.lru_cache(_KNOWN)
def _open(path: Path, length: int, times: tuple[int, int]) -> ShardFile:
    """Reads what a shard holds; one of the same name, length and times is the same."""
    label = json.loads(_label(path).read_text("utf-8"))
    if length != label["bytes"]:
        raise ValueError(f"it has {length} bytes, not {label['bytes']}")
    with safe_open(path, "pt") as file:
        names = file.metadata()
        ids = json.loads(names["ids"])
        files = json.loads(names.get("sources", "[]")) or [None] * len(ids)
        offsets = file.get_tensor("offsets").numpy().copy()
        precision = names.get("precision")
    sources = [known and FileSource(*known) for known in files]
    return ShardFile(
        path, ids, offsets, length, label["sha256"], label["written"], sources,
        precision,
    )


def _label(path: Path) -> Path:
    return path.with_suffix(".json")


def _sweep(directory: Path) -> None:
    """Removes old unfinished files, and old labels that have no shard."""
    labels = directory.glob("shard_*.json")
    left = [
        *directory.glob(".shard_*.part"),
        *directory.glob("shard_*.part"),  # as version 0.1 named them
        *(path for path in labels if not path.with_suffix(".safetensors").exists()),
    ]
    oldest = time.time() - _STALE_SECONDS
    for path in left:
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            pass  # another run has finished or removed it
