"""Crops of the CLVER-DS world, made on the fly: what windows of scenes show.

A crop holds a main object at 10-115 % of its side, often cut by an edge, with
slivers of others, or several objects, or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detail_embed.clver_ds import BANKS, Concept, backgrounds, sprites
from detail_embed.clver_ds.solids import NUM_VIEWS

TRAIN_VIEWS = range(0, 9)
TEST_VIEWS = range(9, NUM_VIEWS)
TRAIN_BACKGROUNDS = tuple(
    k for k in backgrounds.KINDS if k not in backgrounds.UNSEEN_KINDS
)
TEST_BACKGROUNDS = backgrounds.UNSEEN_KINDS

_SPRITE = 96  # side of the stored cut-outs, in pixels
_FIELD = 384  # side of the stored backgrounds, in pixels
_LEAST_VISIBLE = 0.4  # share of an object within the crop to be named


@dataclass(frozen=True)
class Recipe:
    """How crops are mixed.

    Attributes:
        size: side of a crop in pixels
        fill: range of the main object's side, as a fraction of the crop's
        extra: probabilities of 0, 1, 2 further objects
        empty: probability of a crop without any main object
        offset: furthest centre of the main object from the crop's centre,
            as a fraction of the crop's side
        rotation: largest turn either way, in degrees
        things: share of the objects that are things; the others are solids
    """

    size: int = 64
    fill: tuple[float, float] = (0.10, 1.15)
    extra: tuple[float, ...] = (0.55, 0.30, 0.15)
    empty: float = 0.06
    offset: float = 0.42
    rotation: float = 35.0
    things: float = 0.6


class CropSampler:
    """Makes batches of crops.

    Args:
        recipe: how crops are mixed
        known: the concepts that may occur
        views: the views of solids that may occur
        kinds: the kinds of backgrounds that may occur
        seed (0): of the backgrounds
        fields_per_kind (12): number of backgrounds made of each kind
    """

    def __init__(
        self,
        recipe: Recipe,
        known: list[Concept],
        views: range,
        kinds: tuple[str, ...],
        seed: int = 0,
        fields_per_kind: int = 12,
    ):
        self.recipe, self.known, self.views = recipe, known, views
        self._banks = [
            [i for i, c in enumerate(known) if c.bank == bank]
            for bank in BANKS
        ]
        self._sprites: dict[tuple[int, int], list[np.ndarray]] = {}
        rng = np.random.default_rng([seed, 77])
        self._fields = [
            backgrounds.background(rng, kind, _FIELD, _FIELD)
            for kind in kinds
            for _ in range(fields_per_kind)
        ]

    def batch(
        self, rng: np.random.Generator, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Makes ``count`` crops.

        Returns:
            crops ``(count, 3, size, size)`` uint8 and shares
            ``(count, len(known))`` float32: the square root of the visible
            share of the crop that each named concept takes
        """
        cv2.setNumThreads(1)
        size = self.recipe.size
        crops = np.empty((count, size, size, 3), np.uint8)
        shares = np.zeros((count, len(self.known)), np.float32)
        for crop, share in zip(crops, shares):
            self._fill(rng, crop, share)
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2)), shares

    def _fill(self, rng, crop: np.ndarray, share: np.ndarray) -> None:
        recipe = self.recipe
        crop[:] = self._ground(rng)
        placed = [
            self._place(rng, crop, rng.uniform(0.08, 0.8), 0.75)
            for _ in range(rng.choice(len(recipe.extra), p=recipe.extra))
        ]
        if rng.random() >= recipe.empty:
            fill = rng.uniform(*recipe.fill)
            placed.append(self._place(rng, crop, fill, recipe.offset))
        clear = 1.0
        for index, alpha, whole in reversed(placed):
            visible = (alpha * clear).sum()
            if visible >= _LEAST_VISIBLE * whole:
                part = np.sqrt(visible / alpha.size)
                share[index] = max(share[index], part)
            clear = clear * (1 - alpha)
        gain = rng.uniform(0.85, 1.15)
        np.clip(crop * gain, 0, 255, out=crop, casting="unsafe")

    def _ground(self, rng) -> np.ndarray:
        field = self._fields[rng.integers(len(self._fields))]
        side = int(rng.integers(24, _FIELD))
        x, y = rng.integers(_FIELD - side + 1, size=2)
        size = (self.recipe.size, self.recipe.size)
        return cv2.resize(field[y:y + side, x:x + side], size,
                          interpolation=cv2.INTER_AREA)

    def _place(self, rng, crop, fill, offset):
        """Draws a random concept; its index, alpha and whole area (pixels)."""
        bank = self._banks[rng.random() >= self.recipe.things]
        index = bank[rng.integers(len(bank))]
        size, pyramid = self.recipe.size, self._pyramid(rng, index)
        scale = fill * size / np.sqrt(np.prod(pyramid[0].shape[:2]))
        level = int(np.clip(-np.log2(scale), 0, len(pyramid) - 1))
        sprite = pyramid[level]
        angle = np.radians(rng.uniform(-1, 1) * self.recipe.rotation)
        cos, sin = (scale * 2**level * f(angle) for f in (np.cos, np.sin))
        flip = rng.choice((-1, 1))
        matrix = np.array([[cos * flip, -sin], [sin * flip, cos]])
        centre = size * (0.5 + rng.uniform(-offset, offset, 2))
        middle = np.array([sprite.shape[1] / 2, sprite.shape[0] / 2])
        turn = np.column_stack([matrix, centre - matrix @ middle])
        drawn = cv2.warpAffine(sprite, turn, (size, size),
                               flags=cv2.INTER_LINEAR)
        light = rng.uniform(0.75, 1.25)
        drawn[..., :3] = np.minimum(drawn[..., :3] * light, drawn[..., 3:])
        if rng.random() < 0.5:
            sprites.cast_shadow(crop, drawn, 0, 0)
        sprites.paste(crop, drawn, 0, 0)
        whole = sprite[..., 3].sum() / 255 * abs(np.linalg.det(matrix))
        return index, drawn[..., 3] / np.float32(255), whole

    def _pyramid(self, rng, index: int) -> list[np.ndarray]:
        """The trimmed cut-out at full, half, quarter… size, premultiplied."""
        concept = self.known[index]
        solid = concept.bank == "solids"
        view = int(rng.choice(self.views)) if solid else 0
        key = (index, view)
        if key not in self._sprites:
            image = sprites.cutout(concept, rng, range(view, view + 1))
            image = sprites.trim(sprites.premultiply(image))
            factor = _SPRITE / max(image.shape[:2])
            levels = []
            while factor * max(image.shape[:2]) >= 8:
                height, width = (max(1, round(s * factor))
                                 for s in image.shape[:2])
                levels.append(sprites.resize(image, width, height)
                              .astype(np.uint8))
                factor /= 2
            self._sprites[key] = levels
        return self._sprites[key]
