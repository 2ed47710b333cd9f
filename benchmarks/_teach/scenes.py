"""Scenes in which some words are shown often enough to teach them, and their features.

Words to tune on and words to judge by are apart, and so are seeds and backgrounds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detail_embed import clver_ds
from detail_embed.backbone import Backbone
from detail_embed.clver_ds.backgrounds import KINDS, UNSEEN_KINDS
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import whole_image
from detail_embed.demo.table import encode
from detail_embed.texts.templates import encode_queries

SIDE = 1120
WORDS = 24  # taught, of each bank: a half of all objects, the other half is any word
OBJECTS = (6, 10)
BACKGROUNDS = {
    "tune": tuple(kind for kind in KINDS if kind not in UNSEEN_KINDS),
    "judge": UNSEEN_KINDS,
}


@dataclass(frozen=True)
class Shown:
    """One thing in a scene.

    Attributes:
        word: number of its word, -1 for one that is not taught
        scene: number of its scene
        scale: ``sqrt(box area / image area)``
        row: the patch whose box is most like its own
        crop: ``(d,)`` float32, of the square around its box
    """

    word: int
    scene: int
    scale: float
    row: int
    crop: np.ndarray


@dataclass(frozen=True)
class Scenes:
    """What a set of scenes shows.

    Attributes:
        words: the ``q`` taught words, things first
        texts: ``(q, d)`` float32, unit length
        patches: ``(n, p, d)`` float32, unit length
        shows: ``(q, n)`` bool
        things: what stands in them, in no order
    """

    words: list[str]
    texts: np.ndarray
    patches: np.ndarray
    shows: np.ndarray
    things: list[Shown]


def taught_words(part: str, seed: int = 48) -> list[str]:
    """The words of a part: fusers may know those to tune on, none those to judge by."""
    rng = np.random.default_rng(seed)
    words: list[str] = []
    for bank in clver_ds.BANKS:
        names = [
            concept.name for concept in clver_ds.concepts(bank)
            if not concept.unseen and concept.held_out == (part == "judge")
        ]
        words += list(rng.choice(names, WORDS, replace=False))
    return [str(word) for word in words]


def make(
    backbone: Backbone, folder: Path, part: str, n: int, seed: int, c: int
) -> Scenes:
    """Makes the scenes of a part and encodes them, unless the folder has them."""
    words, name, cover = taught_words(part), f"{part}-{n}-{seed}", CompleteCover(c)
    target = clver_ds.generate(
        folder / name, n, "both", SIDE, seed, num_workers=2, objects=OBJECTS,
        backgrounds=BACKGROUNDS[part], words=_weighted(words),
    )
    paths = clver_ds.read_queries(target.parent).paths
    coco = json.loads(target.read_text())
    file = folder / f"{name}-{cover.slug}.npz"
    if not file.exists():
        images = [image.half().numpy() for image in encode(paths, backbone, cover)]
        crops = _crops(backbone, coco, paths)
        np.savez(file, patches=np.stack(images), crops=crops.half().numpy())
    with np.load(file) as kept:
        patches, crops = _unit(kept["patches"]), _unit(kept["crops"])
    boxes = cover.boxes(SIDE, SIDE)
    things = [
        Shown(
            words.index(concept) if concept in words else -1, note["image_id"],
            note["attributes"]["scale"], _nearest(boxes, note["bbox"]), crop,
        )
        for note, crop in zip(coco["annotations"], crops)
        for concept in [note["attributes"]["concept"]]
    ]
    shows = np.zeros((len(words), n), bool)
    for thing in things:
        if thing.word >= 0:
            shows[thing.word, thing.scene] = True
    texts = encode_queries(backbone, words).cpu().numpy()
    return Scenes(words, texts, patches, shows, things)


def _weighted(words: list[str]) -> list[str]:
    """All words once, and the taught ones as often as all others together."""
    weighted = []
    for bank in clver_ds.BANKS:
        every = [concept.name for concept in clver_ds.concepts(bank)]
        weighted += every + [w for w in words if w in every] * (len(every) // WORDS)
    return weighted


def _crops(backbone: Backbone, coco: dict, paths: list[Path]) -> torch.Tensor:
    """The whole of the square around each box, as an example's box is encoded."""
    crops: list[torch.Tensor] = []
    opened = (-1, None)
    for note in coco["annotations"]:
        if note["image_id"] != opened[0]:
            with Image.open(paths[note["image_id"]]) as image:
                opened = note["image_id"], image.convert("RGB")
        pixels = np.asarray(opened[1].crop(_square(note["bbox"])))
        picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        crops.append(whole_image(picture, backbone.patch_spec))
    with torch.inference_mode():
        return torch.cat([backbone.encode_patches(part).float()
                          for part in torch.stack(crops).split(256)])


def _square(box: list[int]) -> tuple[int, int, int, int]:
    x, y, w, h = box
    side = min(max(w, h), SIDE)
    left, top = (
        int(min(max(round(start + length / 2 - side / 2), 0), SIDE - side))
        for start, length in ((x, w), (y, h))
    )
    return left, top, left + side, top + side


def _nearest(boxes: np.ndarray, box: list[int]) -> int:
    """The patch with the largest share of both."""
    low, high = np.array(box[:2]), np.array(box[:2]) + box[2:]
    sides = np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low)
    both = sides.clip(min=0).prod(axis=1)
    either = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + np.prod(high - low) - both
    return int(np.argmax(both / either))


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
