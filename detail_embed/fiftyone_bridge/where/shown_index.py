"""Which indexes have patches that can show where."""

from __future__ import annotations

import fiftyone as fo

from detail_embed.fiftyone_bridge.index import brain_runs, records
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.model import zoo


def showable(dataset: fo.Dataset) -> list[str]:
    """The brain keys of indexes that can show where images match."""
    return [
        key for key in brain_runs.promptable(dataset)
        if Index(dataset, key).find()[0] is not None
    ]


def require_record(index: Index) -> records.Record:
    """The record of an index whose space is on this machine.

    Raises:
        ValueError: if it is not ours, or the space is missing
    """
    record, _ = index.find()
    if record is None:
        known = showable(index.dataset)
        choice = f"choose one of {known}" if known else "compute detail embeddings"
        raise ValueError(
            f"brain key {index.key!r} is no index of detail-embed, so there are no "
            f"patches that could show where; {choice}"
        )
    if not zoo.is_published(record.space):
        raise ValueError(
            f"the embedding space {record.space!r} of {index.key!r} is not on this "
            f"machine: {zoo.space_directory(record.space)} is missing. Copy it from "
            "the machine that computed the index, or compute the index again"
        )
    return record
