"""A folder that a generator fills: what it is of, and whether it is done."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detail_embed.storage.whole_files import write_whole

ANNOTATIONS = "annotations.json"
_STARTED = ".clver_ds_started.json"


def is_done(target: Path, info: dict[str, Any]) -> bool:
    """Whether an equal call has filled the folder.

    Args:
        target: the file of the annotations
        info: what the call makes

    Raises:
        ValueError: if another call has
    """
    if not target.exists():
        return False
    found = _read(target)
    found = found.get("info") if isinstance(found, dict) else None
    _check_same(target, found, info)
    return True


def start(media: Path, info: dict[str, Any]) -> None:
    """Makes the folders, and a mark by which a call that was cut short goes on.

    Args:
        media: the folder of the images or videos, in that of the dataset
        info: what the call makes

    Raises:
        ValueError: if the folder holds something else
    """
    mark = media.parent / _STARTED
    if mark.exists():
        _check_same(mark, _read(mark), info)
    elif media.exists() and (not media.is_dir() or any(media.iterdir())):
        raise ValueError(
            f"{media} holds something else, which is not overwritten: "
            "choose another folder"
        )
    media.parent.mkdir(parents=True, exist_ok=True)
    write_whole(mark, json.dumps(info))
    media.mkdir(exist_ok=True)


def finish(target: Path, tables: dict[str, Any]) -> None:
    """Writes the annotations, after which the folder is done."""
    write_whole(target, json.dumps(tables, indent=1))
    (target.parent / _STARTED).unlink()


def plain(config: Any) -> dict[str, Any]:
    """A configuration as it reads back from JSON."""
    return json.loads(json.dumps(asdict(config), default=list))


def _check_same(file: Path, found: object, info: dict[str, Any]) -> None:
    if found != info:
        raise ValueError(
            f"{file.parent} holds a dataset made with other settings: "
            "choose another folder or delete it"
        )


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text())
    except ValueError:
        return None
