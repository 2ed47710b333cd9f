"""Patch features of images that a store lacks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from detail_embed import fusers
from detail_embed.engine.chunk import SkipLog
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.stream import stream
from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.runs.pace import Pace
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.space import EmbeddingSpace

_CHUNK = 64  # images that are stored at once


def store_missing(
    space: EmbeddingSpace,
    store: FeatureStore,
    items: list[tuple[str, str]],
    options: EncodeOptions,
    log: SkipLog | None = None,
) -> Generator[Progress, None, None]:
    """Encodes images that are not in a store; those that cannot be read stay out.

    Args:
        space: backbone and cover
        store: patch features of these
        items: ids and paths
        options: how files are read and encoded
        log (None): of :func:`~detail_embed.engine.stream.stream`
    """
    todo = [item for item in items if item[0] not in store]
    if not todo:
        return
    fuser = fusers.create("mean", dim=space.dim)
    chunks = stream(
        todo, space.backbone, space.cover, fuser, options, _CHUNK, store=store, log=log
    )
    done = failed = 0
    pace = Pace(len(todo))
    with closing(chunks):
        for chunk in chunks:
            done += len(chunk.ids) + len(chunk.errors)
            failed += len(chunk.errors)
            yield pace.report(done, failed)
