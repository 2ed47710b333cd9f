"""The file that makes a folder an embedding space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from detail_embed.storage.chunk_store import find_label

CONFIG = "space.json"


def read_config(directory: Path) -> dict[str, Any]:
    """Reads what a space was saved as: its slug, backbone and cover.

    Args:
        directory: a folder that ``DetailEmbedder.save()`` wrote

    Raises:
        ValueError: if it holds no space, finished vectors instead, or a damaged one
    """
    path = directory / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
        return {key: config[key] for key in ("slug", "backbone", "cover")}
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_space(directory, f"no {CONFIG}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _no_space(directory, f"a damaged {CONFIG} ({error!r})") from error


def _no_space(directory: Path, found: str) -> ValueError:
    if find_label(directory) is not None:
        found = "finished vectors, not an embedding space"
    return ValueError(
        f"{directory} holds {found}: give a folder that DetailEmbedder.save() wrote"
    )
