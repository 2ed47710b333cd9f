"""Solid shapes, ray-marched from signed distance fields (CLEVR's world).

A geometry (normals, positions, coverage) is computed once per shape and view;
every colour and material is shaded from it.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

COLOURS = {
    "red": (214, 40, 40),
    "green": (38, 150, 62),
    "blue": (40, 84, 214),
    "yellow": (242, 206, 38),
    "purple": (130, 44, 180),
    "cyan": (36, 196, 206),
    "brown": (128, 76, 36),
    "gray": (134, 136, 138),
}
MATERIALS = ("rubber", "metal")
NUM_VIEWS = 12

_SIDE = 160  # pixels of a rendered cut-out
_EXTENT = 1.45  # half side of the view, in units of the shapes
_STEPS = 48
_CAMERA = 6.0
_MARCH_END = 9.0


def _length(*parts: np.ndarray) -> np.ndarray:
    return np.sqrt(sum(part * part for part in parts))


def _box(p: np.ndarray, half: tuple[float, float, float]) -> np.ndarray:
    q = np.abs(p) - np.asarray(half, p.dtype)
    outside = _length(*np.maximum(q, 0).T)
    return outside + np.minimum(q.max(1), 0)


def _sphere(p):
    return _length(*p.T) - 1.0


def _cube(p):
    return _box(p, (0.74, 0.74, 0.74)) - 0.04


def _cylinder(p):
    radial = _length(p[:, 0], p[:, 2]) - 0.68
    axial = np.abs(p[:, 1]) - 0.86
    inside = np.minimum(np.maximum(radial, axial), 0)
    return inside + _length(np.maximum(radial, 0), np.maximum(axial, 0)) - 0.03


def _cone(p):
    radial = _length(p[:, 0], p[:, 2])
    side = (radial * 1.9 + (p[:, 1] - 1.0) * 0.95) / np.hypot(1.9, 0.95)
    return np.maximum(side, -p[:, 1] - 0.9) - 0.02


def _pyramid(p):
    x, y, z = np.abs(p[:, 0]), p[:, 1], np.abs(p[:, 2])
    side = (np.maximum(x, z) * 1.8 + (y - 0.85)) / np.hypot(1.8, 1.0)
    return np.maximum(side, -y - 0.55) - 0.02


def _torus(p):
    ring = _length(p[:, 0], p[:, 2]) - 0.76
    return _length(ring, p[:, 1]) - 0.3


def _capsule(p):
    y = p[:, 1] - np.clip(p[:, 1], -0.66, 0.66)
    return _length(p[:, 0], y, p[:, 2]) - 0.46


def _tube(p):
    wall = np.abs(_length(p[:, 0], p[:, 2]) - 0.66) - 0.12
    return np.maximum(wall, np.abs(p[:, 1]) - 0.62) - 0.03


def _dome(p):
    return np.maximum(_length(p[:, 0], p[:, 1] + 0.45, p[:, 2]) - 1.08,
                      -p[:, 1] - 0.45)


def _cross(p):
    bars = [(1.0, 0.33, 0.33), (0.33, 1.0, 0.33), (0.33, 0.33, 1.0)]
    return np.minimum.reduce([_box(p, bar) for bar in bars]) - 0.02


SHAPES = {
    "cube": _cube, "sphere": _sphere, "cylinder": _cylinder, "cone": _cone,
    "pyramid": _pyramid, "torus": _torus, "capsule": _capsule,
    "tube": _tube, "dome": _dome, "cross": _cross,
}


def _rotation(view: int) -> np.ndarray:
    """A view from above: any yaw, 18-50 degrees of elevation, some roll."""
    rng = np.random.default_rng(1000 + view)
    yaw = rng.uniform(0, 2 * np.pi)
    pitch = np.radians(rng.uniform(18, 50))
    roll = np.radians(rng.uniform(-25, 25))
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


@cache
def _geometry(shape: str, view: int):
    """Normals and positions (h, w, 3) and coverage (h, w) of one view."""
    distance, rotation = SHAPES[shape], _rotation(view)
    axis = np.linspace(-_EXTENT, _EXTENT, _SIDE, dtype=np.float32)
    x, y = np.meshgrid(axis, -axis)
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size, np.float32)], 1)
    eye = np.array([0, 0, _CAMERA], np.float32)
    rays = flat - eye
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    travelled = np.full(len(rays), _CAMERA - 2.0, np.float32)
    nearest = np.full(len(rays), np.inf, np.float32)
    active = np.arange(len(rays))
    for _ in range(_STEPS):
        points = (eye + rays[active] * travelled[active, None]) @ rotation
        d = distance(points).astype(np.float32)
        nearest[active] = np.minimum(nearest[active], d)
        travelled[active] += d
        active = active[(d > 1e-3) & (travelled[active] < _MARCH_END)]
    pixel = 2 * _EXTENT / _SIDE
    coverage = np.clip(0.5 - (nearest - 0.5 * pixel) / pixel, 0, 1)
    points = (eye + rays * travelled[:, None]) @ rotation
    step = np.eye(3, dtype=np.float32) * 4e-3
    slope = [distance(points + s) - distance(points - s) for s in step]
    normals = np.stack(slope, 1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    grid = (_SIDE, _SIDE)
    return (
        (normals @ rotation.T).reshape(*grid, 3),
        (points @ rotation.T).reshape(*grid, 3),
        rays.reshape(*grid, 3),
        coverage.reshape(grid),
    )


def _environment(direction: np.ndarray) -> np.ndarray:
    """Brightness (0-1.6) a mirror sees: sky, dark horizon and soft boxes."""
    up = direction[..., 1]
    sky = 0.25 + 0.55 * np.clip(up, 0, 1) + 0.12 * np.clip(-up, 0, 1)
    horizon = -0.22 * np.exp(-((up - 0.02) / 0.12) ** 2)
    boxes = sum(
        1.3 * np.clip((direction @ np.asarray(centre, np.float32) - edge)
                      / 0.06, 0, 1)
        for centre, edge in (((-0.55, 0.75, 0.37), 0.90),
                             ((0.70, 0.35, 0.62), 0.95))
    )
    return sky + horizon + boxes


def _shade(geometry, colour: str, material: str) -> np.ndarray:
    normals, points, rays, _ = geometry
    base = np.asarray(COLOURS[colour], np.float32) / 255
    light = np.array([-0.45, 0.75, 0.48], np.float32)
    diffuse = np.clip(normals @ light, 0, 1)
    ambient = 0.34 + 0.16 * normals[..., 1]
    if material == "rubber":
        return base * (ambient + 0.72 * diffuse)[..., None]
    mirrored = rays - 2 * (rays * normals).sum(-1, keepdims=True) * normals
    glint = np.exp(-(np.sin(3.1 * (points[..., 0] + points[..., 1])
                            + 1.3 * points[..., 2]) / 0.22) ** 2)
    reflection = _environment(mirrored) + 0.6 * glint
    body = base * (0.3 * (ambient + diffuse) + 0.85 * reflection)[..., None]
    return body + 0.6 * np.clip(reflection - 0.75, 0, 1)[..., None]


@lru_cache(maxsize=256)
def cutout(shape: str, colour: str, material: str, view: int) -> np.ndarray:
    """Renders one solid.

    Args:
        shape: a key of :data:`SHAPES`
        colour: a key of :data:`COLOURS`
        material: one of :data:`MATERIALS`
        view: index of the view, ``0 <= view < NUM_VIEWS``

    Returns:
        a ``(160, 160, 4)`` uint8 array, RGB and alpha; read-only
    """
    geometry = _geometry(shape, view)
    rgb = np.clip(_shade(geometry, colour, material), 0, 1) * 255
    alpha = geometry[3][..., None] * 255
    image = np.concatenate([rgb, alpha], -1).round().astype(np.uint8)
    image.setflags(write=False)
    return image
