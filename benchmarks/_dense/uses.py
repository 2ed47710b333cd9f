"""Two other uses of one pass: where a thing is, and which images to look at closely."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from detail_embed.cover import CompleteCover
from detail_embed.evaluation import average_precision
from detail_embed.patch_search.localise import localise


@dataclass(frozen=True)
class Where:
    """How well the top box of a way shows where a thing is.

    Attributes:
        hits: pairs of a word and an image that were looked at
        right: share whose top box holds the centre of such a thing
        iou: mean of its best overlap with one
        ms: of ``localise`` alone, an image
    """

    hits: int
    right: float
    iou: float
    ms: float


def where(
    features: Tensor, cover: CompleteCover, texts: Tensor, truth: Sequence[dict],
    hits: Sequence[tuple[int, int]], size: tuple[int, int],
) -> Where:
    """Localises words in images.

    Args:
        features: ``(n, p, d)`` of the images
        cover: their windows
        texts: ``(q, d)``
        truth: for each word the ``(m, 4)`` boxes, as shares, of the images with it
        hits: rows of words and of images
        size: width and height of the images
    """
    boxes, levels = cover.boxes(*size), cover.levels(*size)
    judged, spent = [], 0.0
    for word, image in hits:
        started = time.process_time()
        top = localise(features[image], boxes, levels, texts[word], 1)
        spent += time.process_time() - started
        judged.append(judge(top.boxes, truth[word][image]))
    right, overlap = np.array(judged).mean(axis=0)
    return Where(len(judged), float(right), float(overlap), 1e3 * spent / len(judged))


def judge(box: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Whether the first box holds the centre of a true one, and its best IoU.

    Args:
        box: ``(m, 4)`` left, top, width, height
        truth: ``(n, 4)`` likewise
    """
    if not len(box):
        return 0.0, 0.0
    centres, ends = truth[:, :2] + truth[:, 2:] / 2, box[0, :2] + box[0, 2:]
    holds = ((box[0, :2] <= centres) & (centres <= ends)).all(axis=1).any()
    corners = [torch.from_numpy(np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1))
               for b in (box[:1].astype(float), truth)]
    return float(holds), float(box_iou(*corners).max())


def read_truth(
    folder: Path, ids: Sequence[str], words: Sequence[str]
) -> list[dict[int, np.ndarray]]:
    """For each word the boxes, as shares of the image, by row of the image."""
    coco = json.loads((folder / "annotations.json").read_text("utf-8"))
    rows, kinds = (dict(zip(some, range(len(some)))) for some in (ids, words))
    images = {image["id"]: image for image in coco["images"]}
    names = {kind["id"]: kind["name"] for kind in coco["categories"]}
    found: list[dict[int, list]] = [{} for _ in words]
    for note in coco["annotations"]:
        image, word = images[note["image_id"]], kinds.get(names[note["category_id"]])
        if word is not None and image["file_name"] in rows:
            box = np.array(note["bbox"]) / ([image["width"], image["height"]] * 2)
            found[word].setdefault(rows[image["file_name"]], []).append(box)
    return [{row: np.array(some) for row, some in by.items()} for by in found]


def correct_hits(
    scores: np.ndarray, truth: Sequence[dict]
) -> Iterator[tuple[int, int]]:
    """Words and images that show them and are among the first, as many as do."""
    for word, by in enumerate(truth):
        for image in np.argsort(-scores[word], kind="stable")[: len(by)].tolist():
            if image in by:
                yield word, image


def proposed(
    cheap: np.ndarray, exact: np.ndarray, shown: np.ndarray, counts: Sequence[int]
) -> list[tuple[int, float, float]]:
    """What is found where cheap scores propose images and exact ones order them.

    Args:
        cheap: ``(q, n)`` scores of words and images
        exact: ``(q, n)`` likewise
        shown: ``(q, n)`` bool
        counts: how many images are proposed

    Returns:
        for each count: it, the share of the exact scores' first 10 that is among them,
        and the mean average precision of the whole order
    """
    order = np.argsort(-cheap, axis=1, kind="stable")
    first = np.argsort(-exact, axis=1, kind="stable")[:, :10]
    found = []
    for count in counts:
        some = order[:, :count]
        kept = np.mean([np.isin(a, b).mean() for a, b in zip(first, some)])
        scores = cheap - 10.0
        np.put_along_axis(
            scores, some, np.take_along_axis(exact, some, axis=1), axis=1
        )
        precision = np.nanmean(average_precision(scores, shown))
        found.append((count, float(kept), float(precision)))
    return found
