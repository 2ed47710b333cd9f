"""Maps of patches on their image: against what the patches show, and a slow loop."""

import numpy as np
import pytest
import torch

from detail_embed.cover import CompleteCover
from detail_embed.cover.laid_over import lay_over, seen_box
from detail_embed.cover.patches import RESIZE_MODES, PatchSpec, extract_patches

SIZE, GRID = 64, 16
SHAPES = [(400, 400), (800, 400), (200, 600), (601, 333)]


def brightness(patches):
    """A map that shows what a patch shows."""
    side = SIZE // GRID
    return patches.float().mean(1).unfold(1, side, side).unfold(2, side, side).mean(
        (3, 4)
    ).numpy()


def picture(width, height, box):
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    x0, y0, x1, y1 = box
    image[:, y0:y1, x0:x1] = 255
    return image


def laid(image, cover, mode):
    _, height, width = image.shape
    spec = PatchSpec(SIZE, resize_mode=mode)
    maps = brightness(extract_patches(image, cover, spec))
    windows = cover.boxes(width, height), cover.levels(width, height)
    return lay_over(maps, *windows, spec)


def centre(heat):
    """Centre of mass, as shares of the image."""
    ys, xs = np.indices(heat.shape) + 0.5
    found = (xs * heat).sum() / heat.sum(), (ys * heat).sum() / heat.sum()
    return np.array(found) / heat.shape[::-1]


@pytest.mark.parametrize("c", ["none", 4])
@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_thing_lies_where_the_image_has_it(shape, mode, c):
    width, height = shape
    short = min(shape)
    side = short // 4
    # corners of the centred square, which a centre crop still shows
    left, top = (width - short) // 2, (height - short) // 2
    for x in (left, left + short - side):
        for y in (top, top + short - side):
            box = x, y, x + side, y + side
            heat = laid(picture(width, height, box), CompleteCover(c), mode)
            cells = np.round(64 * np.array(shape[::-1]) / max(shape))
            assert heat.shape == tuple(cells)
            middle = (np.array(box[:2]) + box[2:]) / 2 / shape
            peaks = np.argwhere(heat >= 0.9 * heat.max()) + 0.5
            off = np.abs(peaks.mean(0)[::-1] / heat.shape[::-1] - middle)
            assert (off * shape <= 0.12 * short + max(shape) / 64).all()
            rows = slice(*(np.array(box[1::2]) / height * heat.shape[0]).astype(int))
            columns = slice(*(np.array(box[::2]) / width * heat.shape[1]).astype(int))
            share = 0.4 if c == "none" else 0.3
            assert heat[rows, columns].sum() >= share * heat.sum()


@pytest.mark.parametrize("shape", [(800, 400), (200, 600)])
def test_corners_that_a_centre_crop_leaves_out(shape):
    width, height = shape
    corner = picture(width, height, (0, 0, 60, 60))
    assert laid(corner, CompleteCover("none"), "shortest").max() == 0
    for mode in ("squash", "longest"):
        assert (centre(laid(corner, CompleteCover("none"), mode)) * shape < 60).all()
    heat = laid(corner, CompleteCover(5), "shortest")  # its windows see the corner
    assert np.argmax(heat) == 0 or heat[0, 0] >= 0.5 * heat.max()
    assert heat[-1, -1] == 0


def test_what_is_seen():
    def seen(mode, width, height):
        return seen_box(width, height, PatchSpec(SIZE, resize_mode=mode)).tolist()

    assert seen("squash", 200, 100) == [0, 0, 200, 100]
    assert seen("shortest", 200, 100) == [50, 0, 150, 100]
    assert seen("longest", 200, 100) == [0, -50, 200, 150]
    assert seen("shortest", 100, 300) == [0, 100, 100, 200]


def slow(maps, boxes, levels, spec):
    """Cell by cell, window by window."""
    width, height = boxes[0, 2:]
    cell, (_, down, across) = max(width, height) / 64, maps.shape
    columns, rows = round(width / cell), round(height / cell)
    heat = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            x, y = (column + 0.5) * width / columns, (row + 0.5) * height / rows
            by_level = {}
            for i, (x0, y0, x1, y1) in enumerate(boxes):
                if i == 0:
                    x0, y0, x1, y1 = seen_box(width, height, spec)
                if not (x0 <= x <= x1 and y0 <= y <= y1):
                    continue
                u = np.clip((x - x0) / (x1 - x0) * across - 0.5, 0, across - 1)
                v = np.clip((y - y0) / (y1 - y0) * down - 0.5, 0, down - 1)
                i0, j0 = int(v), int(u)
                i1, j1 = min(i0 + 1, down - 1), min(j0 + 1, across - 1)
                a, b = v - i0, u - j0
                value = (
                    maps[i, i0, j0] * (1 - a) * (1 - b) + maps[i, i0, j1] * (1 - a) * b
                    + maps[i, i1, j0] * a * (1 - b) + maps[i, i1, j1] * a * b
                )
                by_level.setdefault(0 if i == 0 else levels[i], []).append(value)
            if by_level:
                heat[row, column] = np.mean([np.mean(v) for v in by_level.values()])
    return heat


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("shape", [(300, 300), (320, 160), (90, 270)])
def test_as_a_slow_loop_has_it(shape, mode):
    cover, spec = CompleteCover(3), PatchSpec(SIZE, resize_mode=mode)
    boxes, levels = cover.boxes(*shape), cover.levels(*shape)
    maps = np.random.default_rng(0).random((len(boxes), 5, 7))
    kept = boxes.copy()
    found = lay_over(maps, boxes, levels, spec)
    np.testing.assert_allclose(found, slow(maps, boxes, levels, spec), atol=1e-6)
    assert (boxes == kept).all()


def test_a_very_long_image():
    shape = (5000, 20)
    cover = CompleteCover(4)
    boxes, levels = cover.boxes(*shape), cover.levels(*shape)
    heat = lay_over(np.ones((len(boxes), 2, 2)), boxes, levels, PatchSpec(SIZE))
    assert heat.shape == (1, 64) and np.isfinite(heat).all() and heat.max() == 1
