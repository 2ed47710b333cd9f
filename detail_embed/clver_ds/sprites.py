"""Cut-outs as they stand in a scene: turned, mirrored, lit, scaled, pasted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detail_embed.clver_ds import solids, things
from detail_embed.clver_ds.concepts import Concept


@dataclass(frozen=True)
class Jitter:
    """How much a cut-out may vary.

    Attributes:
        rotation: largest turn either way, in degrees
        flip: whether mirror images occur
        light: largest relative change of brightness, ``0.25`` = 75-125 %
    """

    rotation: float = 20.0
    flip: bool = True
    light: float = 0.25


def cutout(
    concept: Concept,
    rng: np.random.Generator,
    views: range = range(solids.NUM_VIEWS),
) -> np.ndarray:
    """Picks a picture of a concept: ``(h, w, 4)`` uint8."""
    if concept.bank == "things":
        return things.cutout(concept.name)
    return solids.cutout(
        concept.shape, concept.colour, concept.material, int(rng.choice(views))
    )


def vary(
    image: np.ndarray, rng: np.random.Generator, jitter: Jitter
) -> np.ndarray:
    """Turns, mirrors and lights a cut-out, and trims it to what is visible.

    Args:
        image: ``(h, w, 4)`` uint8
        rng: the source of all choices
        jitter: how much may change

    Returns:
        ``(h', w', 4)`` uint8, tight around the object
    """
    if jitter.flip and rng.random() < 0.5:
        image = image[:, ::-1]
    angle = rng.uniform(-jitter.rotation, jitter.rotation)
    side = max(image.shape[:2])
    reach = int(np.ceil(side * np.sqrt(2)))
    centre = (image.shape[1] / 2, image.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(centre, angle, 1)
    turn[:, 2] += reach / 2 - np.array(centre)
    colour = premultiply(image)
    turned = cv2.warpAffine(colour, turn, (reach, reach), flags=cv2.INTER_LINEAR)
    gain = 1 + rng.uniform(-jitter.light, jitter.light)
    turned[..., :3] = np.minimum(turned[..., :3] * gain, turned[..., 3:])
    return trim(turned)


def premultiply(image: np.ndarray) -> np.ndarray:
    """RGBA uint8 -> float32 in [0, 255], colours multiplied by alpha."""
    image = image.astype(np.float32)
    image[..., :3] *= image[..., 3:] / 255
    return image


def trim(image: np.ndarray) -> np.ndarray:
    """Crops a premultiplied picture to where alpha is at least 10 %."""
    rows = np.flatnonzero((image[..., 3] > 25).any(1))
    columns = np.flatnonzero((image[..., 3] > 25).any(0))
    return image[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes a premultiplied picture, antialiased when it shrinks."""
    shrinks = width < image.shape[1] or height < image.shape[0]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.clip(cv2.resize(image, (width, height), interpolation=mode),
                   0, 255)


def paste(canvas: np.ndarray, image: np.ndarray, left: int, top: int) -> None:
    """Lays a premultiplied picture over a uint8 canvas, in place."""
    height, width = image.shape[:2]
    y0, y1 = max(top, 0), min(top + height, canvas.shape[0])
    x0, x1 = max(left, 0), min(left + width, canvas.shape[1])
    if y0 >= y1 or x0 >= x1:
        return
    piece = image[y0 - top:y1 - top, x0 - left:x1 - left]
    below = canvas[y0:y1, x0:x1] * (1 - piece[..., 3:] / 255)
    canvas[y0:y1, x0:x1] = np.clip(below + piece[..., :3] + 0.5, 0, 255)


def cast_shadow(
    canvas: np.ndarray, image: np.ndarray, left: int, top: int,
    strength: float = 0.35,
) -> None:
    """Darkens a canvas softly, below and to the right of a picture."""
    reach = max(image.shape[:2])
    blur, drop = max(0.5, 0.04 * reach), max(1, round(0.04 * reach))
    margin = int(np.ceil(3 * blur))
    alpha = np.pad(image[..., 3], margin)
    dark = np.zeros((*alpha.shape, 4), np.float32)
    dark[..., 3] = cv2.GaussianBlur(alpha, (0, 0), blur) * strength
    paste(canvas, dark, left + drop - margin, top + drop - margin)
