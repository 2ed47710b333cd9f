"""Scenes: objects of controlled scale on a textured background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detail_embed.clver_ds import backgrounds, solids, sprites
from detail_embed.clver_ds.concepts import BANKS, Concept, concepts

MAX_SIDE = 4096
SCALES = (0.03, 0.05, 0.08, 0.12, 0.2, 0.35)
_TRIES = 60


@dataclass(frozen=True)
class SceneConfig:
    """What scenes are made of.

    Attributes:
        bank: ``"things"``, ``"solids"`` or ``"both"`` (half of the objects
            from each)
        width: in pixels, at most 4096
        height: in pixels, at most 4096
        objects: smallest and largest number of objects
        scales: a list of scales to choose from; a scale is
            ``sqrt(box area / image area)``
        scale_range: a ``(low, high)`` range to draw scales from, evenly in
            the logarithm; replaces ``scales``
        jitter: rotation, mirror images and light
        max_occlusion: largest share of an object that later ones may hide
        backgrounds: kinds of backgrounds to choose from
        views: views of the solids to choose from
        words: names of concepts to choose from, one named twice is drawn twice as
            often; none for all of the bank, evenly

    Raises:
        ValueError: naming the setting that is out of range
    """

    bank: str = "both"
    width: int = 1120
    height: int = 1120
    objects: tuple[int, int] = (4, 8)
    scales: Sequence[float] = SCALES
    scale_range: tuple[float, float] | None = None
    jitter: sprites.Jitter = field(default_factory=sprites.Jitter)
    max_occlusion: float = 0.15
    backgrounds: Sequence[str] = backgrounds.KINDS
    views: range = range(solids.NUM_VIEWS)
    words: Sequence[str] = ()

    def __post_init__(self):
        for bank in BANKS if self.bank == "both" else (self.bank,):
            if not self.choices(bank):
                raise ValueError(f"words: name at least one of the {bank}")
        for name in ("width", "height"):
            if not 64 <= getattr(self, name) <= MAX_SIDE:
                raise ValueError(
                    f"{name} must be 64 to {MAX_SIDE} pixels, "
                    f"not {getattr(self, name)}"
                )
        if not _is_range(self.objects) or self.objects[0] < 0:
            raise ValueError(f"objects must be (low, high), not {self.objects!r}")
        if self.scale_range and not _is_range(self.scale_range):
            raise ValueError(
                f"scale_range must be (low, high), not {self.scale_range!r}"
            )
        for scale in self.scale_range or self.scales:
            if not 0 < scale <= 1:
                raise ValueError(f"a scale must be in (0, 1], not {scale}")
        if not self.scale_range and not self.scales:
            raise ValueError("scales is empty: name at least one")
        if not 0 <= self.max_occlusion < 1:
            raise ValueError(
                f"max_occlusion must be in [0, 1), not {self.max_occlusion}"
            )
        unknown = set(self.backgrounds) - set(backgrounds.KINDS)
        if unknown or not self.backgrounds:
            raise ValueError(
                f"backgrounds must be among {backgrounds.KINDS}, "
                f"not {tuple(self.backgrounds)}"
            )

    def choices(self, bank: str) -> Sequence[Concept]:
        """The concepts of a bank that are drawn from."""
        every = concepts(bank)
        if not self.words:
            return every
        by_name = {concept.name: concept for concept in every}
        return [by_name[word] for word in self.words if word in by_name]


@dataclass
class Placed:
    """One annotated object.

    Attributes:
        concept: what it is
        box: ``(left, top, width, height)`` in pixels
        scale: ``sqrt(box area / image area)``
        visible: share of its pixels that nothing hides, 0 to 1
    """

    concept: Concept
    box: tuple[int, int, int, int]
    scale: float
    visible: float


@dataclass
class Scene:
    """A picture and what it shows.

    Attributes:
        pixels: ``(height, width, 3)`` uint8 RGB
        objects: back to front
        background: its kind
    """

    pixels: np.ndarray
    objects: list[Placed]
    background: str


def make_scene(config: SceneConfig, seed: Sequence[int]) -> Scene:
    """Makes one scene; the same seed gives the same pixels.

    An object that finds no place within the allowed occlusion is left out.
    """
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(list(config.backgrounds)))
    canvas = backgrounds.background(rng, kind, config.width, config.height)
    owner = np.full(canvas.shape[:2], -1, np.int16)
    placed: list[Placed] = []
    areas: list[int] = []
    count = int(rng.integers(config.objects[0], config.objects[1] + 1))
    sizes = sorted((_draw_scale(config, rng) for _ in range(count)), reverse=True)
    for index, scale in enumerate(sizes):
        concept = draw_concept(config, rng, index)
        sprite = make_sprite(concept, config, rng, scale)
        solid = sprite[..., 3] > 127
        spot = _find_spot(owner, solid, areas, config.max_occlusion, rng)
        if spot is None:
            continue
        left, top = spot
        height, width = solid.shape
        sprites.cast_shadow(canvas, sprite, left, top)
        sprites.paste(canvas, sprite, left, top)
        owner[top:top + height, left:left + width][solid] = len(placed)
        areas.append(int(solid.sum()))
        side = np.sqrt(width * height / (config.width * config.height))
        placed.append(
            Placed(concept, (left, top, width, height), float(side), 1.0)
        )
    left_over = np.bincount(owner[owner >= 0], minlength=len(placed))
    for item, seen, area in zip(placed, left_over, areas):
        item.visible = float(seen / max(area, 1))
    return Scene(canvas, placed, kind)


def _is_range(value: object) -> bool:
    """Whether this is a pair of numbers, the smaller one first."""
    try:
        low, high = value
        return bool(low <= high)
    except (TypeError, ValueError):
        return False


def _draw_scale(config: SceneConfig, rng: np.random.Generator) -> float:
    if config.scale_range:
        return float(np.exp(rng.uniform(*np.log(config.scale_range))))
    return float(rng.choice(list(config.scales)))


def draw_concept(
    config: SceneConfig, rng: np.random.Generator, index: int
) -> Concept:
    """Draws what an object is; of both banks in turn, by its index."""
    bank = BANKS[index % 2] if config.bank == "both" else config.bank
    choices = config.choices(bank)
    return choices[rng.integers(len(choices))]


def make_sprite(
    concept: Concept, config: SceneConfig, rng: np.random.Generator, scale: float
) -> np.ndarray:
    """Makes a premultiplied picture of a concept at a scale of the scene."""
    image = sprites.cutout(concept, rng, config.views)
    image = sprites.vary(image, rng, config.jitter)
    height, width = image.shape[:2]
    side = scale * np.sqrt(config.width * config.height)
    factor = min(side / np.sqrt(height * width),
                 config.width / width, config.height / height)
    return sprites.resize(
        image, max(1, round(width * factor)), max(1, round(height * factor))
    )


def _find_spot(owner, solid, areas, max_occlusion, rng):
    """A random place where nobody gets hidden too much, or None."""
    height, width = solid.shape
    for _ in range(_TRIES):
        left = int(rng.integers(owner.shape[1] - width + 1))
        top = int(rng.integers(owner.shape[0] - height + 1))
        region = owner[top:top + height, left:left + width]
        if (region < 0).all():
            return left, top
        if max_occlusion == 0:
            continue
        hidden = np.bincount(region[solid & (region >= 0)],
                             minlength=len(areas))
        touched = np.flatnonzero(hidden)
        visible = [(owner == i).sum() - hidden[i] for i in touched]
        if all(v >= (1 - max_occlusion) * areas[i]
               for v, i in zip(visible, touched)):
            return left, top
    return None
