"""A world that the demo backbone does not know: new kinds, on new backgrounds.

Scenes to learn from and scenes to search in, with boxes, labels and captions. Both show
the new kinds and old words that are taught with them; those to search in show other
old words, too, which no method is told of.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from _adapt.kinds import NEW, add_new_kinds
from detail_embed import clver_ds
from detail_embed.clver_ds.backgrounds import UNSEEN_KINDS

SIDE = 1120
OBJECTS = (6, 10)
OLD = 60  # old words of either group
_GROUPS = ("new kinds", "old, taught", "never taught")
_SEEDS = {"train": 901, "test": 902}
COUNTS = {"train": 200, "test": 300}
_CAPTIONS = ("{}.", "A photo of {}.", "There is {} in it.", "We see {}.")


@dataclass(frozen=True)
class Box:
    """One thing in a scene.

    Attributes:
        image: number of its scene
        word: what it is
        box: ``(left, top, width, height)`` in pixels
    """

    image: int
    word: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Part:
    """Scenes of one folder, in the order of their files.

    Attributes:
        paths: of the ``n`` image files
        boxes: of all things
        captions: ``n`` sentences, each with what a scene shows, in a random order
    """

    paths: list[Path]
    boxes: list[Box]
    captions: list[str]

    def shows(self, words: list[str]) -> np.ndarray:
        """``(q, n)`` bool: which scenes show which word."""
        row = {word: number for number, word in enumerate(words)}
        shown = np.zeros((len(words), len(self.paths)), bool)
        for box in self.boxes:
            if box.word in row:
                shown[row[box.word], box.image] = True
        return shown

    @cached_property
    def labels(self) -> list[list[str]]:
        """What each scene shows, sorted."""
        found: list[set[str]] = [set() for _ in self.paths]
        for box in self.boxes:
            found[box.image].add(box.word)
        return [sorted(words) for words in found]


@dataclass(frozen=True)
class World:
    """Scenes and the three groups of words.

    Attributes:
        train: to learn from; shows the first two groups
        test: to search in; shows all three
        groups: new kinds, old words that are taught, old words that are never taught
    """

    train: Part
    test: Part
    groups: dict[str, list[str]]

    @property
    def words(self) -> list[str]:
        """All groups, in order."""
        return [word for group in self.groups.values() for word in group]

    @property
    def taught(self) -> list[str]:
        """The words of the scenes to learn from."""
        return [word for name in _GROUPS[:2] for word in self.groups[name]]


def groups() -> dict[str, list[str]]:
    """The words of each group; the new kinds have to be in the bank or not."""
    known = [c.name for c in clver_ds.concepts("things") if c.name not in NEW]
    drawn = [str(w) for w in np.random.default_rng(11).permutation(known)[: 2 * OLD]]
    return dict(zip(_GROUPS, (list(NEW), drawn[:OLD], drawn[OLD:])))


def make(folder: Path, renders: Path) -> World:
    """Makes the scenes, unless the folder has them.

    Args:
        folder: where they go: ``train/`` and ``test/``, each with ``annotations.json``
            in COCO's format
        renders: see :func:`.kinds.add_new_kinds`
    """
    add_new_kinds(renders)
    words = groups()
    told = [*words["new kinds"], *words["old, taught"]]
    shown = {"train": told, "test": [*told, *words["never taught"]]}
    parts = {}
    for name, count in COUNTS.items():
        target = clver_ds.generate(
            folder / name, count, "things", SIDE, _SEEDS[name], objects=OBJECTS,
            backgrounds=UNSEEN_KINDS, words=tuple(shown[name]),
        )  # one process: another one's bank lacks the new kinds
        parts[name] = _read(target, _SEEDS[name])
    return World(parts["train"], parts["test"], words)


def _read(target: Path, seed: int) -> Part:
    coco = json.loads(target.read_text())
    paths = [target.parent / clver_ds.IMAGES / i["file_name"] for i in coco["images"]]
    boxes = [
        Box(note["image_id"], note["attributes"]["concept"], tuple(note["bbox"]))
        for note in coco["annotations"]
    ]
    part = Part(paths, boxes, [])
    rng = np.random.default_rng(seed)
    for words in part.labels:
        part.captions.append(_caption([str(w) for w in rng.permutation(words)], rng))
    return part


def _caption(words: list[str], rng: np.random.Generator) -> str:
    *first, last = [f"a {word}" for word in words] or ["nothing"]
    listed = f"{', '.join(first)} and {last}" if first else last
    return _CAPTIONS[rng.integers(len(_CAPTIONS))].format(listed)
