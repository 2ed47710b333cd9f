"""Adapted models by name, in the user's data directory: they outlive datasets."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from detail_embed.adapt.crops import full
from detail_embed.storage.user_folders import data_directory
from detail_embed.storage.versions import versions
from detail_embed.storage.whole_files import whole_folder

WEIGHTS = "model.safetensors"
_FACTS = "adapted.json"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PACKAGES = ("detail-embed", "torch", "open_clip_torch", "numpy")


@dataclass(frozen=True)
class AdaptedFacts:
    """What is known of an adapted model.

    Attributes:
        name: of the model, in :func:`names`
        backbone: open_clip architecture
        pretrained: the weights that training began with; None for the demo model's own
        source: where the texts come from, such as a field
        images: number of images, the held-out ones included
        held_out: how many of them were held out
        crops: trained on
        texts: how many different ones
        skipped: images that could not be read
        config: of the training, see :class:`.tuning_config.TuningConfig`
        history: of the training, a :class:`.tuning.TunedEpoch` each
        blends: what mixtures of both weights find, a :class:`.blend.Blend` each
        verdict: whether it is offered, a :class:`.blend.Verdict`
        stopped: why training ended early, in a sentence; empty if it did not
        created: when, ISO 8601
        versions: of the packages
    """

    name: str
    backbone: str
    pretrained: str | None
    source: str
    images: int
    held_out: int
    crops: int
    texts: int
    skipped: int
    config: dict[str, Any]
    history: list[dict[str, Any]]
    blends: list[dict[str, Any]]
    verdict: dict[str, Any]
    stopped: str = ""
    created: str = field(
        default_factory=lambda: datetime.datetime.now().isoformat(timespec="seconds")
    )
    versions: dict[str, str] = field(default_factory=lambda: versions(_PACKAGES))

    @property
    def is_offered(self) -> bool:
        """Whether the model may be used."""
        return self.verdict["is_offered"]

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        return self.verdict["reason"]


def check_name(name: str) -> None:
    """Checks that a text can name an adapted model.

    Raises:
        ValueError: if it cannot
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name an adapted model: use up to 64 letters, digits and "
            "'_', starting with a letter"
        )


def names() -> list[str]:
    """Names of all adapted models of this user, sorted."""
    return sorted(path.parent.name for path in _root().glob(f"[!.]*/{_FACTS}"))


def save(facts: AdaptedFacts, weights: Mapping[str, Tensor]) -> None:
    """Keeps a model under its name; replaces one that is there, as a whole.

    Of a model that is not offered, what is known of it is kept alone.

    Raises:
        ValueError: if the name cannot be used
        RuntimeError: if the disk is full
    """
    check_name(facts.name)
    root = _root()
    try:
        with whole_folder(root / facts.name, replace=True) as partial:
            if facts.is_offered:
                state = {name: value.contiguous() for name, value in weights.items()}
                save_file(state, partial / WEIGHTS)
            text = json.dumps(asdict(facts), indent=1) + "\n"
            (partial / _FACTS).write_text(text, "utf-8")
    except (OSError, SafetensorError) as error:
        raise full(root, error) from error


def describe(name: str) -> AdaptedFacts:
    """What is known of an adapted model.

    Raises:
        ValueError: if there is none of that name, or its files are damaged
    """
    place = _root() / str(name) / _FACTS
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not place.is_file():
        known = names()
        what = f"choose one of {known}" if known else "none was made yet"
        raise ValueError(f"no adapted model is called {name!r:.80}; {what}")
    try:
        return AdaptedFacts(**json.loads(place.read_text("utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the adapted model in {place.parent} is damaged ({error}): delete it, or "
            "train it anew"
        ) from error


def checkpoint(name: str) -> Path:
    """The file that :meth:`.backbone.Backbone.load` takes.

    Raises:
        ValueError: if there is no such model, or it is not offered
    """
    facts = describe(name)
    place = _root() / name / WEIGHTS
    if not facts.is_offered:
        raise ValueError(
            f"the adapted model {name!r} is not offered: {facts.reason}. Choose "
            "another, or train anew with more images"
        )
    if not place.is_file():
        raise ValueError(f"{place} is gone: delete {name!r}, or train it anew")
    return place


def offered(backbone: str) -> dict[str, str]:
    """The checkpoint files of an architecture that may be used, by name."""
    known = (describe(name) for name in names())
    return {
        facts.name: str(_root() / facts.name / WEIGHTS)
        for facts in known if facts.is_offered and facts.backbone == backbone
    }


def delete(name: str) -> None:
    """Deletes an adapted model, and what its training would go on from.

    Indexes made with it stay, but text can no more be encoded for them.

    Raises:
        ValueError: if there is none of that name
    """
    if name not in names():
        describe(name)  # says which there are
    shutil.rmtree(training_directory(name), ignore_errors=True)
    shutil.rmtree(_root() / name)


def training_directory(name: str) -> Path:
    """Where the training of a model keeps what it needs to go on."""
    return data_directory() / "adapting" / name


def _root() -> Path:
    return data_directory() / "adapted"
