"""Reads a CLVER-DS folder back as queries and what is relevant to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detail_embed.clver_ds.dataset import IMAGES
from detail_embed.clver_ds.folders import ANNOTATIONS


@dataclass(frozen=True)
class Queries:
    """Concepts that at least one image shows, as queries.

    Attributes:
        paths: the ``n`` image files
        words: the ``q`` concepts, as a person would type them
        banks: bank of each word
        groups: ``"proxy"``, ``"held-out"`` or ``"unseen"`` for each word
        target_scale: ``(q, n)`` float64, the largest scale at which an image
            shows a concept (fraction of the image side), 0 where it does not
    """

    paths: list[Path]
    words: list[str]
    banks: list[str]
    groups: list[str]
    target_scale: np.ndarray


def read_queries(folder: str | Path) -> Queries:
    """Reads the queries of a dataset that ``generate`` wrote.

    Args:
        folder: the folder of the dataset

    Raises:
        ValueError: if the folder holds no annotations
    """
    folder = Path(folder)
    if not (folder / ANNOTATIONS).is_file():
        raise ValueError(f"{folder} holds no {ANNOTATIONS}")
    coco = json.loads((folder / ANNOTATIONS).read_text())
    columns = {image["id"]: i for i, image in enumerate(coco["images"])}
    rows = {c["id"]: i for i, c in enumerate(coco["categories"])}
    scale = np.zeros((len(rows), len(columns)))
    for note in coco["annotations"]:
        at = rows[note["category_id"]], columns[note["image_id"]]
        scale[at] = max(scale[at], note["attributes"]["scale"])
    shown = scale.any(1)
    kept = [c for c, is_shown in zip(coco["categories"], shown) if is_shown]
    return Queries(
        paths=[folder / IMAGES / i["file_name"] for i in coco["images"]],
        words=[c["name"] for c in kept],
        banks=[c["supercategory"] for c in kept],
        groups=[_group(c) for c in kept],
        target_scale=scale[shown],
    )


def _group(category: dict) -> str:
    if category["unseen"]:
        return "unseen"
    return "held-out" if category["held_out"] else "proxy"
