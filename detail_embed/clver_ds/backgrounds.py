"""Textured backgrounds: a scalar pattern in [0, 1], coloured by a palette."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Pattern = Callable[[np.random.Generator, int, int], np.ndarray]


def _noise(rng, height, width, cells, octaves=4) -> np.ndarray:
    """Fractal value noise; ``cells`` lattice cells along the longer side."""
    field = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        count = min(cells * 2**octave, max(height, width))
        rows = max(2, round(count * height / max(height, width)) + 1)
        columns = max(2, round(count * width / max(height, width)) + 1)
        lattice = rng.random((rows, columns), np.float32) - 0.5
        field += cv2.resize(
            lattice, (width, height), interpolation=cv2.INTER_CUBIC
        ) / 2**octave
    return field


def _axes(rng, height, width):
    """Coordinates turned by a random angle; 1 is the longer side."""
    angle = rng.uniform(0, np.pi)
    side = max(height, width)
    y = np.arange(height, dtype=np.float32)[:, None] / side
    x = np.arange(width, dtype=np.float32)[None, :] / side
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _stretch(field: np.ndarray) -> np.ndarray:
    low, high = float(field.min()), float(field.max())
    return (field - low) / max(high - low, 1e-6)


def _gradient(rng, height, width):
    along, _ = _axes(rng, height, width)
    return along + 0.03 * _noise(rng, height, width, 40, 2)


def _clouds(rng, height, width):
    return _noise(rng, height, width, rng.integers(2, 7), 6)


def _wood(rng, height, width):
    along, across = _axes(rng, height, width)
    wobble = _noise(rng, height, width, 3, 3)
    grain = np.sin((across + 0.10 * wobble) * rng.uniform(60, 160))
    return 0.5 * grain + wobble + 0.2 * _noise(rng, height, width, 90, 2)


def _marble(rng, height, width):
    along, _ = _axes(rng, height, width)
    veins = _noise(rng, height, width, 5, 6)
    return np.abs(np.sin(along * rng.uniform(6, 18) + 7 * veins)) ** 0.5


def _grid(rng, height, width, shift):
    along, across = _axes(rng, height, width)
    rows = rng.uniform(6, 24)
    row = np.floor(across * rows)
    column = along * rows * rng.uniform(0.45, 1.0) + shift * 0.5 * (row % 2)
    joint = np.minimum(across * rows % 1, column % 1) < 0.06
    tone = np.sin(row * 12.9898 + np.floor(column) * 78.233) * 43758.5453 % 1
    surface = 0.35 * tone + 0.5 * _noise(rng, height, width, 60, 3)
    return np.where(joint, surface.min() - 0.25, surface)


def _bricks(rng, height, width):
    return _grid(rng, height, width, shift=1)


def _tiles(rng, height, width):
    return _grid(rng, height, width, shift=0)


def _fabric(rng, height, width):
    along, across = _axes(rng, height, width)
    threads = rng.uniform(150, 320)
    weave = np.sin(along * threads) * np.sin(across * threads)
    return 0.5 * weave + _noise(rng, height, width, 8, 4)


def _stripes(rng, height, width):
    along, _ = _axes(rng, height, width)
    bands = np.sin(along * rng.uniform(15, 90)) > rng.uniform(-0.5, 0.5)
    return bands + 0.25 * _noise(rng, height, width, 30, 3)


def _gravel(rng, height, width):
    return np.abs(_noise(rng, height, width, rng.integers(40, 90), 3)) ** 0.6


def _grass(rng, height, width):
    blades = rng.random((height // 2 + 1, width // 2 + 1), np.float32)
    blades = cv2.blur(blades, (1, int(rng.integers(7, 17))))
    blades = cv2.resize(blades, (width, height))
    return 3 * blades + _noise(rng, height, width, 6, 4)


def _sand(rng, height, width):
    along, across = _axes(rng, height, width)
    ripples = np.sin(along * rng.uniform(40, 110)
                     + 6 * _noise(rng, height, width, 4, 3))
    return 0.4 * ripples + 0.5 * rng.random((height, width), np.float32)


def _water(rng, height, width):
    waves = _noise(rng, height, width, 9, 4)
    return 1 - np.abs(_stretch(waves) - 0.5) ** 0.5


def _bokeh(rng, height, width):
    field = _noise(rng, height, width, 3, 2)
    for _ in range(rng.integers(12, 40)):
        centre = int(rng.integers(width)), int(rng.integers(height))
        radius = int(max(height, width) * rng.uniform(0.01, 0.09))
        disc = np.zeros_like(field)
        cv2.circle(disc, centre, radius, float(rng.uniform(0.1, 0.5)), -1,
                   cv2.LINE_AA)
        field += disc
    return field


def _asphalt(rng, height, width):
    speckle = rng.random((height, width), np.float32)
    return cv2.GaussianBlur(speckle, (0, 0), 1.2) * 2 + _noise(
        rng, height, width, 4, 4
    )


_PATTERNS: dict[str, Pattern] = {
    "gradient": _gradient, "clouds": _clouds, "wood": _wood,
    "marble": _marble, "bricks": _bricks, "tiles": _tiles,
    "fabric": _fabric, "stripes": _stripes, "gravel": _gravel,
    "grass": _grass, "sand": _sand, "water": _water, "bokeh": _bokeh,
    "asphalt": _asphalt,
}
KINDS = tuple(_PATTERNS)

# Never shown to the demo backbone while it was trained.
UNSEEN_KINDS = ("marble", "grass", "bokeh", "bricks")


def _palette(rng: np.random.Generator) -> np.ndarray:
    """256 colours between two to three random, mostly muted ones."""
    stops = []
    for value in np.sort(rng.uniform(40, 250, rng.integers(2, 4))):
        hsv = np.uint8([[[rng.integers(180), rng.integers(10, 130), value]]])
        stops.append(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0])
    at = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), at, c) for c in np.array(stops).T]
    return np.stack(channels, 1).round().astype(np.uint8)


def background(
    rng: np.random.Generator, kind: str, width: int, height: int
) -> np.ndarray:
    """Paints a background.

    Args:
        rng: the source of all choices
        kind: one of :data:`KINDS`
        width: in pixels
        height: in pixels

    Returns:
        a ``(height, width, 3)`` uint8 RGB array

    Raises:
        ValueError: if the kind is unknown
    """
    if kind not in _PATTERNS:
        raise ValueError(f"background must be one of {KINDS}, not {kind!r}")
    field = _stretch(_PATTERNS[kind](rng, height, width).astype(np.float32))
    return _palette(rng)[(field * 255).astype(np.uint8)]
