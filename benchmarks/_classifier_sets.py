"""Image sets for :mod:`classifiers`: scenes, and real images that packages ship."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from detail_embed import clver_ds

_SIDE = 224  # pixels of small pictures, enlarged
_TILE = 128  # pixels of a cut-out of a surface


@dataclass(frozen=True, eq=False)
class Images:
    """Images with one class each.

    Attributes:
        what: they are, for a person
        paths: n files
        numbers: ``(n,)`` int64, the class of each
        classes: names
        cover: c of the Complete Cover that they are cut by
        pixels: ``(n, d)`` of the images themselves, to compare with; None for none
    """

    what: str
    paths: list[Path]
    numbers: np.ndarray
    classes: list[str]
    cover: int
    pixels: np.ndarray | None = None

    @property
    def count(self) -> int:
        """How many classes there are."""
        return len(self.classes)


def small(folder: Path, n: int) -> Images:
    """A solid of 5 to 12 % of the image's side, between two other things."""
    what = "CLVER-DS, a solid of 5–12 % of the side beside two other things"
    return _scenes(
        folder, what, n=n, bank="both", objects=(3, 3), scale_range=(0.05, 0.12),
        size=1120, seed=71,
    )


def large(folder: Path, n: int) -> Images:
    """A solid of 35 to 60 % of the image's side, alone."""
    what = "CLVER-DS, a solid of 35–60 % of the side, alone"
    return _scenes(
        folder, what, n=n, bank="solids", objects=(1, 1), scale_range=(0.35, 0.6),
        size=448, seed=72,
    )


def digits(folder: Path, n: int) -> Images:
    """Handwritten digits of 8 x 8 pixels, enlarged."""
    from sklearn.datasets import load_digits

    found = load_digits()
    rows = np.random.default_rng(0).permutation(len(found.target))[: 3 * n]
    names = "zero one two three four five six seven eight nine".split()
    pictures = [255 - 255 * found.images[row] / 16 for row in rows]
    return _written(
        folder, "scikit-learn's handwritten digits, 8 x 8 pixels, enlarged", pictures,
        found.target[rows], [f"handwritten digit {name}" for name in names],
    )


def faces(folder: Path, n: int) -> Images:
    """Faces, and other cut-outs of the same photographs, of 25 x 25 pixels."""
    from skimage.data import lfw_subset

    found = lfw_subset()
    numbers = np.repeat([0, 1], len(found) // 2)  # faces come first
    return _written(
        folder, "scikit-image's lfw_subset: faces and no faces, 25 x 25 pixels",
        [255 * picture for picture in found], numbers, ["face", "background"],
    )


def surfaces(folder: Path, n: int) -> Images:
    """Cut-outs of photographs of a brick wall, grass and gravel."""
    from skimage import data

    rng = np.random.default_rng(0)
    classes, pictures, numbers = ["brick", "grass", "gravel"], [], []
    for number, name in enumerate(classes):
        whole = getattr(data, name)()
        for _ in range(n // 3):
            top, left = rng.integers(0, np.array(whole.shape) - _TILE)
            pictures.append(whole[top : top + _TILE, left : left + _TILE])
            numbers.append(number)
    return _written(
        folder, "scikit-image's photographs of brick, grass and gravel, cut-outs of "
        f"{_TILE} pixels (of one photograph each: overlapping ones are in both halves)",
        pictures, np.array(numbers), classes,
    )


def _written(
    folder: Path, what: str, pictures: Sequence[np.ndarray], numbers: np.ndarray,
    classes: list[str],
) -> Images:
    folder.mkdir(parents=True, exist_ok=True)
    paths, pixels = [], []
    for row, picture in enumerate(pictures):
        image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        path = folder / f"{row:04d}.png"
        if not path.exists():
            image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
        pixels.append(np.asarray(image.resize((16, 16)), np.float32).ravel() / 255)
    matrix = np.stack(pixels)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-6)
    return Images(what, paths, np.asarray(numbers), classes, 2, matrix)


def _scenes(folder: Path, what: str, **settings) -> Images:
    path = clver_ds.generate(folder, **settings)
    coco = json.loads(path.read_text("utf-8"))
    shapes = {
        note["image_id"]: note["attributes"]["shape"]
        for note in coco["annotations"]
        if note["attributes"]["shape"]
    }
    classes = sorted(set(shapes.values()))
    shown = [image for image in coco["images"] if image["id"] in shapes]
    return Images(
        what,
        [folder / "images" / image["file_name"] for image in shown],
        np.array([classes.index(shapes[image["id"]]) for image in shown]),
        classes, 10,
    )


SETS: dict[str, Callable[[Path, int], Images]] = {
    "small": small, "large": large, "digits": digits, "faces": faces,
    "surfaces": surfaces,
}
