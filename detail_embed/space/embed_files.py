"""Embedding files into arrays: what is finished, or encoded, is not done again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from detail_embed.engine.chunk import Chunk
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.engine.stream import stream_reusing
from detail_embed.features import FeatureStore
from detail_embed.features.disk_space import check_room
from detail_embed.features.huge_files import huge_line
from detail_embed.images.look import states
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.storage.addresses import full_path
from detail_embed.storage.chunk_store import ChunkStore

logger = logging.getLogger(__name__)


@dataclass
class EmbedResult:
    """The embeddings of ``n`` files.

    Attributes:
        vectors: ``(n, d)`` float32 detail embeddings, unit length, or ``(n, k, d)``
            where the fuser makes k of them; NaN where a file could not be read, so
            that sorting scores by hand may put it first: see :meth:`search`
        global_vectors: ``(n, d)`` float32, the whole images alone
        errors: ``(index, path, reason)`` of each file that could not be read
    """

    vectors: np.ndarray
    global_vectors: np.ndarray
    errors: list[tuple[int, str, str]]

    @property
    def indices(self) -> np.ndarray:
        """``(m,)`` int64, the rows of files that have vectors, rising."""
        return np.flatnonzero(np.isfinite(self.global_vectors[:, 0]))

    def search(self, query: np.ndarray, k: int = 25) -> tuple[np.ndarray, np.ndarray]:
        """Finds the files nearest to a query; those without vectors never are.

        Args:
            query: ``(d,)``, such as a row of ``DetailEmbedder.encode_texts()``
            k (25): files to find, at most

        Returns:
            ``(m,)`` int64 rows, best first, and their ``(m,)`` float32 cosines; of
            several vectors of a file the best counts

        Raises:
            ValueError: if the query has another dimension, is 0 or not finite
        """
        query = np.asarray(query, np.float32)
        length = np.linalg.norm(query)
        if query.shape != self.global_vectors.shape[1:] or not 0 < length < np.inf:
            raise ValueError(
                f"query has shape {query.shape} and length {length}: give "
                f"{self.global_vectors.shape[1]} numbers that are finite, not all 0"
            )
        rows = self.indices
        scores = self.vectors[rows] @ (query / length)
        scores = scores.reshape(len(rows), -1).max(axis=1, initial=-np.inf)
        best = np.argsort(-scores, kind="stable")[:k]
        return rows[best], scores[best]


def embed_files(
    space: EmbeddingSpace,
    paths: Sequence[str | Path],
    progress: bool = False,
    out: str | Path | None = None,
    features: str | Path | FeatureStore | None = None,
    options: EncodeOptions = DEFAULT,
) -> EmbedResult:
    """Embeds files; a file that is given twice is embedded once.

    Args: as of ``DetailEmbedder.embed_files()``.

    Raises:
        TypeError: see there
        ValueError: see there
        RuntimeError: see there
    """
    paths = read_paths(paths)
    options.check_options()
    rows: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        rows.setdefault(full_path(path), []).append(i)
    vectors, whole = (
        np.full((len(paths), *shape), np.nan, np.float32)
        for shape in (space.fuser.shape, (space.dim,))
    )
    result = EmbedResult(vectors, whole, [])
    done = None if out is None else ChunkStore(out, space.vector_slug)
    stored = {} if done is None else done.load()
    todo = {}
    now = states(rows, options.read_seconds) if stored else [None] * len(rows)
    for (name, where), state in zip(rows.items(), now):
        key = None if state is None else _key(name, state)
        if key in stored:
            result.vectors[where], result.global_vectors[where] = stored[key]
        else:
            todo[name] = paths[where[0]]
    said = huge_line(list(todo.values()), space.cover, options.max_pixels)
    if said is not None:
        logger.info(said)
    chunks = stream_reusing(
        todo.items(), space.backbone, space.cover, space.fuser,
        _open(features, space, todo, options.read_seconds), options,
    )
    bar = tqdm(
        total=len(rows), initial=len(rows) - len(todo), unit="image",
        disable=not progress,
    )
    with bar, closing(chunks):
        for chunk in chunks:
            if done is not None and chunk.ids:
                made_of = zip(chunk.ids, chunk.sources)
                keys = [_key(name, source.state) for name, source in made_of]
                done.add(keys, chunk.vectors, chunk.global_vectors)
            _put(chunk, rows, result)
            bar.update(len(chunk.ids) + len(chunk.errors))
    return result


def read_paths(paths: Iterable[str | Path]) -> list[str | Path]:
    """Files as a list, whatever they come in.

    Raises:
        TypeError: if it is one path, or something else than paths
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(f"pass a list of paths, such as [{str(paths)!r}], not one path")
    if not isinstance(paths, Iterable):
        raise TypeError(f"pass a list of paths, not {paths!r:.80}")
    found = list(paths)
    for one in found:
        if not isinstance(one, (str, os.PathLike)):
            raise TypeError(
                f"pass a list of paths, not of {type(one).__name__}: of a dataset of "
                "FiftyOne, dataset.values('filepath')"
            )
    return found


def _key(name: str, state: str) -> str:
    """What the vectors of a file are kept by, so that one that has changed has none."""
    return f"{name}#{state}"


def _put(chunk: Chunk, rows: dict[str, list[int]], result: EmbedResult) -> None:
    """Writes a chunk to all rows of its files."""
    for name, vector, whole in zip(chunk.ids, chunk.vectors, chunk.global_vectors):
        result.vectors[rows[name]] = vector
        result.global_vectors[rows[name]] = whole
    for error in chunk.errors:
        result.errors += [(i, error.path, error.reason) for i in rows[error.id]]


def _open(
    features: str | Path | FeatureStore | None,
    space: EmbeddingSpace,
    todo: dict[str, str | Path],
    read_seconds: float,
) -> FeatureStore | None:
    """Opens the feature store and sees to it that there is room."""
    if features is None:
        return None
    if isinstance(features, FeatureStore):
        features.require(space.patch_slug)
    else:
        features = FeatureStore(features, space.patch_slug, space.dim)
    features.discard(features.changed(todo.items(), read_seconds=read_seconds))
    paths = [path for name, path in todo.items() if name not in features]
    if paths:
        check_room(
            features.directory, paths, space.cover, features.dim, features.dtype
        )
    return features
