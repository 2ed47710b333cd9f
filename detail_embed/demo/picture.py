"""One query, two indexes: the picture that shows what detail embeddings find."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from detail_embed.clver_ds import ANNOTATIONS, Queries

_SHOWN = 5
_GREEN, _GRAY = "#16a34a", "#9ca3af"


def find_boxes(folder: Path, word: str) -> dict[int, list[list[int]]]:
    """The boxes (x, y, width, height in pixels) of a concept, by image id."""
    coco = json.loads((folder / ANNOTATIONS).read_text())
    boxes = defaultdict(list)
    for note in coco["annotations"]:
        if note["attributes"]["concept"] == word:
            boxes[note["image_id"]].append(note["bbox"])
    return dict(boxes)


def compare(
    queries: Queries,
    word: str,
    scores: dict[str, np.ndarray],
    path: Path,
) -> None:
    """Draws the first images that each method finds for a word.

    Images that show it have a green frame, and the object is boxed.

    Args:
        queries: the images and words
        word: one of the words
        scores: ``(q, n)`` scores by the title of their row
        path: of the picture, PNG or JPEG by its name
    """
    row = queries.words.index(word)
    boxes = find_boxes(queries.paths[0].parents[1], word)
    figure = Figure(figsize=(2.3 * _SHOWN, 2.65 * len(scores)), dpi=110,
                    layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"“{word}”", fontsize=16, fontweight="bold")
    parts = figure.subfigures(len(scores), 1)
    for part, (title, values) in zip(np.atleast_1d(parts), scores.items()):
        part.suptitle(title, fontsize=12, x=0.01, ha="left")
        best = np.argsort(-values[row], kind="stable")[:_SHOWN]
        for axes, image in zip(part.subplots(1, _SHOWN), best):
            _tile(axes, queries.paths[image], boxes.get(int(image), []))
    figure.savefig(path)


def _tile(axes, path: Path, boxes: list[list[int]]) -> None:
    with Image.open(path) as image:
        axes.imshow(np.asarray(image.reduce(2)))
    colour = _GREEN if boxes else _GRAY
    for x, y, width, height in boxes:
        margin = 12
        corner = ((x - margin) / 2, (y - margin) / 2)
        axes.add_patch(Rectangle(
            corner, width / 2 + margin, height / 2 + margin,
            fill=False, edgecolor=_GREEN, linewidth=2.5,
        ))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=4 if boxes else 1)
