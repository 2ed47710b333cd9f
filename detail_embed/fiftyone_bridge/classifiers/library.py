"""The classifiers of a dataset by name, in its folder below the user's data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from safetensors.numpy import load_file, save_file

from detail_embed.classifiers import Classifier
from detail_embed.classifiers.classifier import CONFIG
from detail_embed.fiftyone_bridge.index.leftovers import folder_of, note_owner
from detail_embed.fiftyone_bridge.index.names import check_brain_key
from detail_embed.storage.whole_files import whole_folder

_FOLDER = "classifiers"
_HELD_OUT, _IDS, _REPORT = "held_out.safetensors", "held_out.json", "report.json"


def names(dataset: fo.Dataset) -> list[str]:
    """Names of the classifiers of a dataset, sorted."""
    return sorted(path.parent.name for path in _root(dataset).glob(f"[!.]*/{CONFIG}"))


def folder(dataset: fo.Dataset, name: str) -> Path:
    """The folder of a classifier; it need not exist."""
    return _root(dataset) / name


def check_name(name: str) -> None:
    """Checks that a text can name a classifier.

    Raises:
        ValueError: if not
    """
    check_brain_key(name, "name")


def save(
    dataset: fo.Dataset,
    name: str,
    classifier: Classifier,
    held_out: Mapping[str, np.ndarray],
    report: Mapping[str, Any],
) -> None:
    """Keeps a classifier under a name; replaces one that is there, as a whole.

    Args:
        dataset: the dataset
        name: of the classifier
        classifier: what was trained
        held_out: scores ``(K,)`` of what it was trained on by classifiers that did not
            see it, by the id of the sample, or of the label
        report: what was measured, JSON values
    """
    with whole_folder(folder(dataset, name), replace=True) as partial:
        classifier.save(partial)
        rows = np.array(list(held_out.values()), np.float32)
        rows = rows.reshape(len(held_out), len(classifier.classes))
        save_file({"scores": rows}, partial / _HELD_OUT)
        (partial / _IDS).write_text(json.dumps(list(held_out)), "utf-8")
        (partial / _REPORT).write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    note_owner(dataset)


def load(dataset: fo.Dataset, name: str | Path) -> Classifier:
    """Loads a classifier.

    Args:
        dataset: the dataset
        name: of one of its classifiers; or the path of a folder, such as that of
            another dataset's

    Raises:
        ValueError: if there is none, or it is damaged
    """
    return Classifier.load(_known(dataset, name))


def held_out(dataset: fo.Dataset, name: str | Path) -> dict[str, np.ndarray]:
    """Scores of what a classifier was trained on; see :func:`save`."""
    place = _known(dataset, name)
    ids = json.loads((place / _IDS).read_text("utf-8"))
    return dict(zip(ids, load_file(place / _HELD_OUT)["scores"]))


def report(dataset: fo.Dataset, name: str) -> dict[str, Any]:
    """What was measured of a classifier; see :func:`save`.

    Raises:
        ValueError: if there is none of that name
    """
    return json.loads((_known(dataset, name) / _REPORT).read_text("utf-8"))


def delete(dataset: fo.Dataset, name: str) -> None:
    """Deletes a classifier; what it wrote to fields stays.

    Raises:
        ValueError: if there is none of that name
    """
    require(dataset, name)
    shutil.rmtree(folder(dataset, name))


def require(dataset: fo.Dataset, name: str) -> None:
    """Checks that a dataset has a classifier.

    Raises:
        ValueError: saying which it has
    """
    known = names(dataset)
    if name not in known:
        choice = f"choose one of {known}" if known else "train one first"
        raise ValueError(
            f"this dataset has no classifier called {name!r:.80}; {choice}"
        )


def _known(dataset: fo.Dataset, name: str | Path) -> Path:
    if isinstance(name, Path):
        if not (name / CONFIG).is_file():
            raise ValueError(f"{name} holds no classifier: give the folder of one")
        return name
    require(dataset, name)
    return folder(dataset, name)


def _root(dataset: fo.Dataset) -> Path:
    return folder_of(dataset) / _FOLDER
