"""Files on the disk that no index uses, such as those of deleted datasets.

They are patch features, and vectors that all processes map.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo

from detail_embed.features.label import LABEL
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.samples.private_names import (
    database_id,
    dataset_id,
    dataset_names,
)
from detail_embed.storage.user_folders import data_directory
from detail_embed.storage.whole_files import write_whole

_FEATURES = "features"  # below the user's data directory: dataset, backbone and cover
CODED, EXACT = "vectors-", "exact-"  # before the brain key: folders of mapped vectors
_OWNER = "dataset.json"  # beside the stores of a dataset
_QUIET_SECONDS = 3600.0  # what was written since may be of a run that goes on


@dataclass(frozen=True)
class Leftover:
    """Patch features, or mapped vectors, that no index uses.

    Attributes:
        folder: that holds them
        dataset: name of their dataset; its id where the name is not known
        why: nobody uses them, in words
        num_bytes: on the disk
        is_sure: whether their dataset is known to be deleted; others may be wanted yet,
            such as those that a fuser was trained on, or those of another database
    """

    folder: Path
    dataset: str
    why: str
    num_bytes: int
    is_sure: bool


def folder_of(dataset: fo.Dataset) -> Path:
    """The folder with the feature stores of a dataset; it need not exist."""
    return data_directory() / _FEATURES / str(dataset_id(dataset))


def note_owner(dataset: fo.Dataset) -> None:
    """Writes beside the features of a dataset whose they are."""
    folder = folder_of(dataset)
    owner = {"dataset": dataset.name, "database": database_id()}
    if folder.is_dir() and _owner(folder) != owner:
        write_whole(folder / _OWNER, json.dumps(owner))


def find() -> list[Leftover]:
    """Lists what is left over, the largest first.

    Features of another database than the one that is open are left out where it is
    known, and so are those that were written in the last hour, unless their dataset is
    gone.
    """
    root = data_directory() / _FEATURES
    names, found = dataset_names(), []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_dir():
            found += _of_dataset(folder, names)
    return sorted(found, key=lambda one: -one.num_bytes)


def delete(leftovers: Iterable[Leftover]) -> int:
    """Deletes what is left over, for good.

    Returns:
        bytes that are free now
    """
    freed = 0
    for one in leftovers:
        shutil.rmtree(one.folder)
        freed += one.num_bytes
        rest = one.folder.parent
        folders = [path for path in rest.iterdir() if path.is_dir()]
        has_stores = any(_is_store(path) or _key(path) for path in folders)
        if not folders or (one.is_sure and not has_stores):  # classifiers go along
            shutil.rmtree(rest)
    return freed


def _of_dataset(folder: Path, names: dict[str, str]) -> Iterator[Leftover]:
    owner = _owner(folder)
    name = names.get(folder.name)
    is_sure = name is None and owner.get("database") == database_id()
    if name is not None:
        dataset = fo.load_dataset(name)
        used = {r.features for r in records.read_all(dataset).values()}
        used.update(str(folder / start) + key for key in dataset.list_brain_runs()
                    for start in (CODED, EXACT))
        why = "no index of the dataset uses them"
    elif is_sure:
        used, why = set(), "the dataset was deleted"
    elif owner:
        return  # of another database
    else:
        used, why = set(), "this database has no such dataset"
    for store in sorted(folder.iterdir()):
        if str(store) in used or not (_is_store(store) or _key(store)):
            continue
        if is_sure or not _is_fresh(store):
            whose = name or owner.get("dataset", folder.name)
            yield Leftover(store, whose, why, _num_bytes(store), is_sure)


def _is_store(folder: Path) -> bool:
    return (folder / LABEL).is_file()


def _key(folder: Path) -> str:
    """The brain key whose vectors a folder has; empty where it has none."""
    for start in (CODED, EXACT):
        if folder.name.startswith(start) and folder.is_dir():
            return folder.name.removeprefix(start)
    return ""


def _owner(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / _OWNER).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _is_fresh(folder: Path) -> bool:
    latest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    return time.time() - latest < _QUIET_SECONDS


def _num_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
