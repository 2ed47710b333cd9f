"""The classifiers of a dataset by name, in its folder below the user's data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from detail_embed.classifiers import Classifier
from detail_embed.classifiers.classifier import CONFIG
from detail_embed.fiftyone_bridge.index.leftovers import folder_of, note_owner
from detail_embed.fiftyone_bridge.index.names import check_brain_key
from detail_embed.storage.whole_files import whole_folder

_FOLDER = "classifiers"
_LONGEST = 100  # bytes of a name, which is that of a folder and part of a field's
_HELD_OUT, _IDS, _REPORT = "held_out.safetensors", "held_out.json", "report.json"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of what a classifier was trained on, by classifiers that did not see it.

    Attributes:
        ids: of ``n`` samples, or labels
        scores: ``(n, K)`` calibrated logits by the others
        own: ``(n, K)`` by the classifier itself, which tell whether a picture is still
            the one that it was trained on; NaN where that is not known
    """

    ids: list[str]
    scores: np.ndarray
    own: np.ndarray


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
    if len(name.encode()) > _LONGEST:
        raise ValueError(
            f"name={name!r:.80} is {len(name)} characters long: give a shorter one, of "
            f"up to {_LONGEST}"
        )


def save(
    dataset: fo.Dataset,
    name: str,
    classifier: Classifier,
    held_out: HeldOut,
    report: Mapping[str, Any],
) -> None:
    """Keeps a classifier under a name; replaces one that is there, as a whole.

    Args:
        dataset: the dataset
        name: of the classifier
        classifier: what was trained
        held_out: of what it was trained on
        report: what was measured, JSON values
    """
    with whole_folder(folder(dataset, name), replace=True) as partial:
        classifier.save(partial)
        rows = {"scores": held_out.scores, "own": held_out.own}
        rows = {one: np.ascontiguousarray(rows[one], np.float32) for one in rows}
        save_file(rows, partial / _HELD_OUT)
        (partial / _IDS).write_text(json.dumps(held_out.ids), "utf-8")
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


def held_out(dataset: fo.Dataset, name: str | Path) -> HeldOut:
    """Scores of what a classifier was trained on; none of one that was saved alone.

    Raises:
        ValueError: if there is no such classifier, or it is damaged
    """
    place = _known(dataset, name)
    if isinstance(name, Path) and not (place / _IDS).is_file():
        return HeldOut([], np.zeros((0, 0)), np.zeros((0, 0)))
    try:
        ids = json.loads((place / _IDS).read_text("utf-8"))
        rows = load_file(place / _HELD_OUT)
        return HeldOut(ids, rows["scores"], rows.get("own", rows["scores"] * np.nan))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise _damaged(place, error) from error


def report(dataset: fo.Dataset, name: str) -> dict[str, Any]:
    """What was measured of a classifier; see :func:`save`.

    Raises:
        ValueError: if there is none of that name, or it is damaged
    """
    place = _known(dataset, name)
    try:
        return json.loads((place / _REPORT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(place, error) from error


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


def _damaged(place: Path, error: Exception) -> ValueError:
    return ValueError(
        f"the classifier in {place} is damaged ({error!r}): delete it, or train it anew"
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
