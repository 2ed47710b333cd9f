"""Trained fusers by name, in the user's data directory: they outlive datasets."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from detail_embed import fusers
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.storage.user_folders import data_directory
from detail_embed.storage.versions import versions
from detail_embed.storage.whole_files import whole_folder

_FACTS = "training.json"
_FUSER = "fuser"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PACKAGES = ("detail-embed", "torch", "open_clip_torch", "numpy")


@dataclass(frozen=True)
class TrainedFacts:
    """What is known of a trained fuser.

    Attributes:
        name: of the fuser, in :func:`names`
        kind: of the fuser, in :func:`detail_embed.fusers.names`
        patch_slug: backbone, weights and cover that its patches come from
        words: what it was trained on
        vocabulary: where they came from
        images: number of images it was trained on, the held-out ones included
        config: of the training, see :class:`detail_embed.training.TrainingConfig`
        history: of the training, an :class:`detail_embed.training.Epoch` each
        created: when, ISO 8601
        versions: of the packages
    """

    name: str
    kind: str
    patch_slug: str
    words: list[str]
    vocabulary: str
    images: int
    config: dict[str, Any]
    history: list[dict[str, Any]]
    created: str = field(
        default_factory=lambda: datetime.datetime.now().isoformat(timespec="seconds")
    )
    versions: dict[str, str] = field(default_factory=lambda: versions(_PACKAGES))

    @property
    def num_words(self) -> int:
        """How many words it was trained on."""
        return len(self.words)

    @property
    def held_out(self) -> float:
        """How much of the ranking the fuser keeps, best of the history."""
        return max((epoch["held_out"] for epoch in self.history), default=float("nan"))


def check_name(name: str) -> None:
    """Checks that a text can name a trained fuser.

    Raises:
        ValueError: if it cannot, or is the name of a kind of fuser
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name a fuser: use up to 64 letters, digits and '_', "
            "starting with a letter"
        )
    if name in (*fusers.names(), FewVectors.name, "auto"):
        raise ValueError(f"{name!r} is a kind of fuser: choose another name")


def names() -> list[str]:
    """Names of all trained fusers of this user, sorted."""
    return sorted(path.parent.name for path in _root().glob(f"[!.]*/{_FACTS}"))


def save(fuser: Fuser, facts: TrainedFacts) -> None:
    """Keeps a fuser under its name; replaces one that is there, as a whole.

    Raises:
        ValueError: if the name cannot be used
        RuntimeError: if the fuser is not fitted
    """
    check_name(facts.name)
    with whole_folder(_root() / facts.name, replace=True) as partial:
        fuser.save(partial / _FUSER)
        text = json.dumps(asdict(facts), indent=1) + "\n"
        (partial / _FACTS).write_text(text, "utf-8")


def describe(name: str) -> TrainedFacts:
    """What is known of a trained fuser.

    Raises:
        TypeError: if the name is no text
        ValueError: if there is none of that name
    """
    if not isinstance(name, str):
        raise TypeError(f"give the name of one trained fuser, not {name!r:.80}")
    path = _root() / name / _FACTS
    if not _NAME.fullmatch(name) or not path.is_file():
        known = names()
        what = f"choose one of {known}" if known else "none was trained yet: train one"
        raise ValueError(f"no trained fuser is called {name!r}; {what}")
    return TrainedFacts(**json.loads(path.read_text("utf-8")))


def load(name: str, patch_slug: str) -> Fuser:
    """Loads a trained fuser for the patches of a backbone and a cover.

    Raises:
        ValueError: if there is none of that name, its files are damaged, or it was
            trained on patches of another backbone or cover
    """
    facts = describe(name)
    if facts.patch_slug != patch_slug:
        raise ValueError(
            f"the fuser {name!r} was trained on patches of {facts.patch_slug}, not of "
            f"{patch_slug}: choose that backbone and cover, or train another one"
        )
    return fusers.load(_root() / name / _FUSER)


def delete(name: str) -> bool:
    """Deletes a trained fuser, and what its training would go on from.

    Indexes made with it have a copy of their own.

    Returns:
        whether there was one
    """
    if not _NAME.fullmatch(name):
        return False
    shutil.rmtree(checkpoint_directory(name), ignore_errors=True)
    folder = _root() / name
    if not folder.is_dir():
        return False
    shutil.rmtree(folder)
    return True


def checkpoint_directory(name: str) -> Path:
    """Where the training of a fuser keeps what it needs to go on."""
    return data_directory() / "trainings" / name


def _root() -> Path:
    return data_directory() / "fusers"
