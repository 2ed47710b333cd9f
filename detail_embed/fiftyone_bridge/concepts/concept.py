"""A concept as a dataset keeps it: its vector, and what it was taught by."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np

from detail_embed.texts.query import Prompt
from detail_embed.texts.query_signs import HASHES

LONGEST = 80  # characters of a name
_SEPARATORS = ",:"  # of prompts, and of a label and its prompts
_SIGNS = f"{HASHES} "


@dataclass(frozen=True)
class Mark:
    """An image, or a place in it, that a person judged.

    Attributes:
        sample_id: of the image
        box: left, top, width and height as shares of the image; None for all of it
    """

    sample_id: str
    box: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Concept:
    """What was taught under a name.

    Attributes:
        name: see :func:`check_name`
        vector: ``(d,)`` float32, unit length
        backbone: what made the vectors that it can be compared with, see
            :func:`.resolve.backbone_of`
        text: what a person calls it, a line of prompts; None for none
        positives: what shows it
        negatives: what does not
        created: when it was taught, in UTC
        left_out: examples that could not be used, with the reason
    """

    name: str
    vector: np.ndarray = field(repr=False)
    backbone: str
    text: str | None = None
    positives: tuple[Mark, ...] = ()
    negatives: tuple[Mark, ...] = ()
    created: str = field(
        default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds")
    )
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """What is typed to look for it, such as ``#helmet``."""
        return prompt_of(self.name)

    def facts(self) -> dict[str, Any]:
        """All but the vector, as JSON values."""
        return {
            "name": self.name,
            "backbone": self.backbone,
            "text": self.text,
            "positives": [_plain(mark) for mark in self.positives],
            "negatives": [_plain(mark) for mark in self.negatives],
            "created": self.created,
            "left_out": self.left_out,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], vector: np.ndarray) -> Concept:
        """Makes a concept of what :meth:`facts` gave.

        Raises:
            KeyError, TypeError, ValueError: if these are none
        """
        return cls(
            check_name(facts["name"]),
            _checked(vector),
            str(facts["backbone"]),
            facts["text"],
            _marks(facts["positives"]),
            _marks(facts["negatives"]),
            str(facts["created"]),
            dict(facts["left_out"]),
        )


def check_name(name: str) -> str:
    """Gives the name of a concept as it is kept.

    Each ``#`` before it and the quotes around it, as a prompt has them, are left out,
    white space is made single spaces, and letters with accents are made one character.

    Raises:
        TypeError: if it is no text
        ValueError: if it cannot be a name
    """
    if not isinstance(name, str):
        raise TypeError(f"a concept's name must be a text, not {name!r:.80}")
    plain = name.strip().lstrip(_SIGNS)
    if len(plain) > 2 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1]
    plain = unicodedata.normalize("NFC", " ".join(plain.split()))
    wrong = [c for c in plain if c in _SEPARATORS or not c.isprintable()]
    if not plain or wrong or len(plain) > LONGEST:
        raise ValueError(
            f"a concept cannot be called {name!r:.120}: give a name such as 'helmet', "
            f"of up to {LONGEST} characters, without commas and colons"
        )
    return plain


def prompt_of(name: str) -> str:
    """What is typed to look for a concept."""
    return str(Prompt(name, is_concept=True))


def _plain(mark: Mark) -> dict[str, Any]:
    box = None if mark.box is None else [float(x) for x in mark.box]
    return {"sample_id": mark.sample_id, "box": box}


def _marks(values: Sequence[Mapping[str, Any]]) -> tuple[Mark, ...]:
    boxes = [(str(v["sample_id"]), v["box"]) for v in values]
    return tuple(Mark(id, None if box is None else tuple(box)) for id, box in boxes)


def _checked(vector: np.ndarray) -> np.ndarray:
    vector = np.asarray(vector, np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all() or not np.any(vector):
        raise ValueError(f"a vector (d,) was expected, not of shape {vector.shape}")
    return vector
