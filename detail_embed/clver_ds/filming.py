"""A camera that pans and zooms over a scene, in which things appear and vanish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from detail_embed.clver_ds import backgrounds, sprites
from detail_embed.clver_ds.arguments import check_number, check_numbers
from detail_embed.clver_ds.concepts import Concept
from detail_embed.clver_ds.scenes import (
    SCALES,
    SceneConfig,
    draw_concept,
    make_scene,
    make_sprite,
)

_TRIES = 60
_MOST_ROOM = 1.5
_COVERED = 0.15  # of a thing that appears, or of what it hides
_IN_PICTURE = 0.5  # of its box, so that a thing counts as shown


@dataclass(frozen=True)
class VideoConfig:
    """What videos are made of.

    Attributes:
        bank: ``"things"``, ``"solids"`` or ``"both"``
        width: of the picture in pixels, even
        height: of the picture in pixels, even
        seconds: duration of a video
        fps: pictures a second
        objects: smallest and largest number of objects that stand all the time
        scales: of these, ``sqrt(box area / scene area)``
        appearing: smallest and largest number of things that appear and vanish
        appearing_scales: of these, ``sqrt(box area / picture area)``
        durations: how many seconds a thing is there, to choose from
        room: side of the scene by that of the picture, 1 to 1.5: how far the camera
            can pan and zoom; 1 for a camera that stands still
        backgrounds: kinds of backgrounds to choose from

    Raises:
        ValueError: naming the setting that is out of range
    """

    bank: str = "both"
    width: int = 640
    height: int = 480
    seconds: float = 6.0
    fps: float = 8.0
    objects: tuple[int, int] = (2, 4)
    scales: Sequence[float] = SCALES
    appearing: tuple[int, int] = (1, 2)
    appearing_scales: Sequence[float] = (0.05, 0.08, 0.12)
    durations: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0)
    room: float = 1.3
    backgrounds: Sequence[str] = field(default=backgrounds.KINDS)

    def __post_init__(self):
        for name in ("width", "height", "seconds", "fps", "room"):
            check_number(name, getattr(self, name))
        for name in ("durations", "appearing_scales"):
            check_numbers(name, getattr(self, name))
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise ValueError(
                    f"{name} must be an even number of pixels, "
                    f"not {getattr(self, name)}"
                )
        if not 1 <= self.room <= _MOST_ROOM:
            raise ValueError(f"room must be 1 to {_MOST_ROOM}, not {self.room}")
        if not 1 <= self.fps <= 60:
            raise ValueError(f"fps must be 1 to 60 pictures a second, not {self.fps}")
        if not 1 / self.fps <= self.seconds <= 600:
            raise ValueError(
                f"seconds must be one picture's ({1 / self.fps:g}) to 600, "
                f"not {self.seconds}"
            )
        if not self.durations:
            raise ValueError("durations is empty: name at least one")
        for duration in self.durations:
            if not 0 < duration <= self.seconds:
                raise ValueError(
                    f"a duration must be above 0 and at most the {self.seconds:g} "
                    f"seconds of the video, not {duration}"
                )
        self.scene  # noqa: B018 - checks all that scenes have, too
        self.guests  # noqa: B018

    @property
    def scene(self) -> SceneConfig:
        """The scene that the camera moves over."""
        return SceneConfig(
            bank=self.bank,
            width=round(self.width * self.room),
            height=round(self.height * self.room),
            objects=self.objects,
            scales=self.scales,
            backgrounds=self.backgrounds,
        )

    @property
    def guests(self) -> SceneConfig:
        """The things that appear, as if they stood in the picture."""
        return SceneConfig(
            bank=self.bank,
            width=self.width,
            height=self.height,
            objects=self.appearing,
            scales=self.appearing_scales,
        )

    @property
    def length(self) -> int:
        """Pictures of a video."""
        return max(1, round(self.seconds * self.fps))


@dataclass(frozen=True)
class Track:
    """One object while it is in the picture.

    Attributes:
        concept: what it is
        first: the first picture that shows it, from 1
        last: the last one
        boxes: in each of these, ``(left, top, width, height)`` in pixels
        scale: ``sqrt(box area / picture area)``, the mean
        appears: whether it appears and vanishes, rather than stands all the time
    """

    concept: Concept
    first: int
    last: int
    boxes: list[tuple[float, float, float, float]]
    scale: float
    appears: bool


@dataclass(frozen=True)
class _Guest:
    """A thing that appears: its picture, its place in the scene, and when."""

    concept: Concept
    sprite: np.ndarray
    left: int
    top: int
    first: int
    last: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        height, width = self.sprite.shape[:2]
        return self.left, self.top, width, height


class Film:
    """One video; the same seed gives the same pictures.

    Args:
        config: what it is made of
        seed: of everything
    """

    def __init__(self, config: VideoConfig, seed: Sequence[int]):
        self._config = config
        self._scene = make_scene(config.scene, seed)
        rng = np.random.default_rng([*seed, 1])  # the scene has drawn from its own
        self._windows = _move(config, rng)
        self._guests = self._invite(rng)

    @property
    def background(self) -> str:
        """Its kind."""
        return self._scene.background

    def pictures(self) -> Iterator[np.ndarray]:
        """Takes the pictures: ``(height, width, 3)`` uint8 RGB each."""
        size = self._config.width, self._config.height
        for number, (left, top, zoom) in enumerate(self._windows, start=1):
            canvas = self._scene.pixels
            there = [g for g in self._guests if g.first <= number <= g.last]
            if there:
                canvas = canvas.copy()
            for guest in there:
                sprites.cast_shadow(canvas, guest.sprite, guest.left, guest.top)
                sprites.paste(canvas, guest.sprite, guest.left, guest.top)
            lens = np.float32([[zoom, 0, left], [0, zoom, top]])
            yield cv2.warpAffine(
                canvas, lens, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )

    @cached_property
    def tracks(self) -> list[Track]:
        """What the pictures show: what stands there, then what appears."""
        length = self._config.length
        standing = [(o.concept, o.box, 1, length, False) for o in self._scene.objects]
        guests = [(g.concept, g.box, g.first, g.last, True) for g in self._guests]
        found = (self._track(*item) for item in (*standing, *guests))
        return [track for track in found if track is not None]

    def _track(self, concept, box, first, last, appears) -> Track | None:
        """Follows an object; None where the camera never has half of it."""
        config, boxes = self._config, []
        for number in range(first, last + 1):
            seen = _seen(box, self._windows[number - 1], config)
            if seen is not None:
                boxes.append((number, seen))
        if not boxes:
            return None
        areas = [w * h for _, (_, _, w, h) in boxes]
        scale = np.sqrt(np.mean(areas) / (config.width * config.height))
        # Position and size of the window are linear in time, so what is seen is a
        # product of concave functions, and the pictures that show half are in one row.
        first, last = boxes[0][0], boxes[-1][0]
        return Track(concept, first, last, [b for _, b in boxes], float(scale), appears)

    def _invite(self, rng: np.random.Generator) -> list[_Guest]:
        config, guests = self._config, []
        low, high = config.appearing
        for index in range(int(rng.integers(low, high + 1))):
            count = round(float(rng.choice(list(config.durations))) * config.fps)
            count = min(max(1, count), config.length)
            first = int(rng.integers(1, config.length - count + 2))
            windows = self._windows[first - 1 : first + count - 1]
            scale = float(rng.choice(list(config.appearing_scales)))
            concept = draw_concept(config.guests, rng, index + int(rng.integers(2)))
            sprite = make_sprite(
                concept, config.guests, rng, scale * float(windows[:, 2].mean())
            )
            taken = [o.box for o in self._scene.objects] + [g.box for g in guests]
            left, top = _spot(sprite.shape[:2], windows, config, taken, rng)
            last = first + count - 1
            guests.append(_Guest(concept, sprite, left, top, first, last))
        return guests


def _move(config: VideoConfig, rng: np.random.Generator) -> np.ndarray:
    """The windows of the camera: ``(length, 3)``, left, top, and side by picture."""
    scene, ends = config.scene, []
    for _ in range(2):
        zoom = rng.uniform(1, config.room)
        left = rng.uniform(0, max(0, scene.width - zoom * config.width))
        top = rng.uniform(0, max(0, scene.height - zoom * config.height))
        ends.append((left, top, zoom))
    return np.linspace(*ends, config.length)


def _seen(box, window, config: VideoConfig) -> tuple[float, ...] | None:
    """A box of the scene in the picture; None where less than half of it is there."""
    left, top, zoom = window
    edges = []
    for start, side, origin, size in (
        (box[0], box[2], left, config.width), (box[1], box[3], top, config.height)
    ):
        low, high = (start - origin) / zoom, (start + side - origin) / zoom
        edges.append((max(0.0, low), min(float(size), high)))
    (x0, x1), (y0, y1) = edges
    whole = box[2] * box[3] / zoom**2
    if x1 <= x0 or y1 <= y0 or (x1 - x0) * (y1 - y0) < _IN_PICTURE * whole:
        return None
    return tuple(round(float(v), 2) for v in (x0, y0, x1 - x0, y1 - y0))


def _spot(shape, windows, config: VideoConfig, taken, rng) -> tuple[int, int]:
    """A place that is in the picture all the time, where little is hidden.

    Where none is free within some tries, the one that hides least.
    """
    height, width = shape
    lows = windows[:, :2].max(0)
    sizes = np.array([config.width, config.height])
    highs = (windows[:, :2] + windows[:, 2:] * sizes).min(0) - (width, height)
    best = None
    for _ in range(_TRIES):
        left, top = (
            int(round(rng.uniform(low, max(low, high))))
            for low, high in zip(lows, highs)
        )
        hidden = max((_hidden((left, top, width, height), t) for t in taken), default=0)
        if best is None or hidden < best[0]:
            best = hidden, left, top
        if hidden <= _COVERED:
            break
    return best[1:]


def _hidden(one, other) -> float:
    """Share of the smaller box that is in the other one."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    smaller = min(one[2] * one[3], other[2] * other[3])
    return max(0, across) * max(0, down) / smaller
