"""Embedding files into arrays: what is finished, or encoded, is not done again."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from .chunk_store import ChunkStore
from .cover import CompleteCover
from .engine import Chunk, stream, stream_stored
from .features import FeatureStore, estimate_bytes
from .reader import UnreadableImage, read_size
from .shards import megabytes

if TYPE_CHECKING:
    from .space import DetailEmbedder

logger = logging.getLogger(__name__)

_SIZED_FILES = 64  # whose size is looked at to estimate the number of patches


@dataclass
class EmbedResult:
    """The embeddings of ``n`` files.

    Attributes:
        vectors: ``(n, d)`` float32 detail embeddings, unit length; NaN where a
            file could not be read
        global_vectors: ``(n, d)`` float32, the whole images alone
        errors: ``(index, path, reason)`` of each file that could not be read
    """

    vectors: np.ndarray
    global_vectors: np.ndarray
    errors: list[tuple[int, str, str]]


def embed_files(
    space: DetailEmbedder,
    paths: Sequence[str | Path],
    progress: bool = False,
    batch_size: int | None = None,
    num_workers: int | None = None,
    out: str | Path | None = None,
    features: str | Path | FeatureStore | None = None,
) -> EmbedResult:
    """Embeds files; a file that is given twice is embedded once.

    Args: as of ``DetailEmbedder.embed_files()``.

    Raises:
        ValueError: see there
        RuntimeError: see there
    """
    rows: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        rows.setdefault(os.path.abspath(path), []).append(i)
    empty = np.full((2, len(paths), space.dim), np.nan, np.float32)
    result = EmbedResult(*empty, [])
    done = None if out is None else ChunkStore(out, space.slug)
    stored = {} if done is None else done.load()
    for name in rows.keys() & stored.keys():
        vector, whole = stored[name]
        result.vectors[rows[name]], result.global_vectors[rows[name]] = vector, whole
    todo = {name: paths[where[0]] for name, where in rows.items() if name not in stored}
    chunks = _chunks(
        space, todo, batch_size, num_workers, _open(features, space, todo)
    )
    bar = tqdm(
        total=len(rows), initial=len(rows) - len(todo), unit="image",
        disable=not progress,
    )
    with bar, closing(chunks):
        for chunk in chunks:
            if done is not None and chunk.ids:
                done.add(chunk.ids, chunk.vectors, chunk.global_vectors)
            _put(chunk, rows, result)
            bar.update(len(chunk.ids) + len(chunk.errors))
    return result


def _put(chunk: Chunk, rows: dict[str, list[int]], result: EmbedResult) -> None:
    """Writes a chunk to all rows of its files."""
    for name, vector, whole in zip(chunk.ids, chunk.vectors, chunk.global_vectors):
        result.vectors[rows[name]] = vector
        result.global_vectors[rows[name]] = whole
    for error in chunk.errors:
        result.errors += [(i, error.path, error.reason) for i in rows[error.id]]


def _open(
    features: str | Path | FeatureStore | None,
    space: DetailEmbedder,
    todo: dict[str, str | Path],
) -> FeatureStore | None:
    """Opens the feature store and sees to it that there is room."""
    if features is None:
        return None
    if isinstance(features, FeatureStore):
        features.require(space.patch_slug)
    else:
        features = FeatureStore(features, space.patch_slug, space.dim)
    paths = [path for name, path in todo.items() if name not in features]
    if paths:
        _check_room(features, paths, space.cover)
    return features


def _check_room(
    store: FeatureStore, paths: Sequence[str | Path], cover: CompleteCover
) -> None:
    """Says how much the patch features of files will take.

    Raises:
        ValueError: if that is more than there is room for
    """
    patches = _mean_patches(paths[:: -(-len(paths) // _SIZED_FILES)], cover)
    needed = estimate_bytes(len(paths), patches, store.dim, store.dtype)
    what = f"patch features of {len(paths)} images: about {megabytes(needed)}"
    logger.info(what)
    free = shutil.disk_usage(store.directory).free
    if needed > free:
        raise ValueError(
            f"{what}, but {store.directory} has {megabytes(free)} free: make room, "
            "choose another folder, a smaller cover, or none for the features"
        )


def _mean_patches(paths: Sequence[str | Path], cover: CompleteCover) -> float:
    """Mean number of windows of the files that can be read; 0 for none."""
    counts = []
    for path in paths:
        try:
            counts.append(len(cover.boxes(*read_size(path))))
        except UnreadableImage:
            continue  # the run reports it
    return float(np.mean(counts)) if counts else 0.0


def _chunks(
    space: DetailEmbedder,
    todo: dict[str, str | Path],
    batch_size: int | None,
    num_workers: int | None,
    features: FeatureStore | None,
) -> Iterator[Chunk]:
    """Fuses what is stored, then encodes the rest."""
    if features is not None:
        held = [name for name in todo if name in features]
        yield from stream_stored(held, features, space.fuser)
        todo = {name: path for name, path in todo.items() if name not in features}
    yield from stream(
        todo.items(), space.backbone, space.cover, space.fuser, batch_size,
        num_workers, store=features,
    )
