"""What a feature store holds no more, though its shards do: the file is another."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from detail_embed.storage.whole_files import write_whole


def write_discarded(directory: Path, ids: Mapping[str, Sequence[str]]) -> None:
    """Writes which images of which shards are discarded.

    By shard and not by time: shards may be written by hosts of other clocks.

    Args:
        directory: of the store
        ids: of images, by the name of their shard's file
    """
    write_whole(directory / f"discarded_{uuid.uuid4().hex}.json", json.dumps(ids))


def read_discarded(directory: Path) -> dict[str, set[str]]:
    """Reads what was discarded, by the name of the shard's file."""
    found: dict[str, set[str]] = {}
    for path in directory.glob("discarded_*.json"):
        for shard, ids in json.loads(path.read_text("utf-8")).items():
            found.setdefault(shard, set()).update(ids)
    return found
