"""Where one image matches: boxes and heat map of planted objects."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torchvision.ops import box_iou

from detail_embed.cover import CompleteCover
from detail_embed.patch_search.localise import _choose, localise

COVER = CompleteCover(10)
QUERY = F.normalize(torch.ones(16), dim=0)


def planted(objects, size=(1000, 1000), query=QUERY, cover=COVER, seed=0):
    """Features whose cosine grows with what a window shows of the objects."""
    boxes, levels = cover.boxes(*size), cover.levels(*size)
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(boxes), len(query), generator=rng)
    noise = F.normalize(noise - (noise @ query)[:, None] * query, dim=1)
    cosine = np.full(len(boxes), 0.1)
    for left, top, right, bottom in objects:
        width = np.minimum(boxes[:, 2], right) - np.maximum(boxes[:, 0], left)
        height = np.minimum(boxes[:, 3], bottom) - np.maximum(boxes[:, 1], top)
        shown = np.clip(width, 0, None) * np.clip(height, 0, None)
        part = shown / ((right - left) * (bottom - top))
        fill = shown / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        cosine = np.maximum(cosine, 0.1 + 0.5 * part**0.5 * fill**0.1)
    cosine = torch.from_numpy(cosine).float()[:, None]
    return cosine * query + (1 - cosine**2).sqrt() * noise, boxes, levels


def corners(boxes):
    ends = boxes[:, :2] + boxes[:, 2:]
    return torch.from_numpy(np.concatenate([boxes[:, :2], ends], axis=1))


def holds(box, x, y):
    left, top, width, height = box
    return left <= x <= left + width and top <= y <= top + height


@pytest.mark.parametrize("side", [50, 100, 200, 350])
@pytest.mark.parametrize("x, y", [(0.2, 0.3), (0.5, 0.5), (0.95, 0.05), (0.71, 0.66)])
def test_a_planted_object_is_found(x, y, side):
    left = min(max(1000 * x - side / 2, 0), 1000 - side)
    top = min(max(1000 * y - side / 2, 0), 1000 - side)
    truth = left, top, left + side, top + side
    features, boxes, levels = planted([truth])
    found = localise(features, boxes, levels, QUERY)
    assert len(found.boxes) == 1
    assert holds(found.boxes[0], (left + side / 2) / 1000, (top + side / 2) / 1000)
    assert found.boxes[0, 2:].max() <= max(0.25, 1.5 * side / 1000)
    np.testing.assert_allclose(found.scores, (features @ QUERY).max(), atol=1e-5)
    row, column = np.unravel_index(found.heat.argmax(), found.heat.shape)
    assert holds(found.boxes[0], (column + 0.5) / 64, (row + 0.5) / 64)


def test_overlapping_windows_beat_the_best_one():
    """Mean IoU over a grid of places, against that of the best window."""
    ours, windows = [], []
    for left in range(40, 800, 133):
        for top in range(20, 800, 171):
            for side in (60, 130, 190):
                truth = torch.tensor([[left, top, left + side, top + side]])
                features, boxes, levels = planted(truth.tolist())
                found = localise(features, boxes, levels, QUERY, max_boxes=1)
                ours.append(box_iou(1000 * corners(found.boxes), truth))
                best = torch.from_numpy(boxes[[(features @ QUERY).argmax()]])
                windows.append(box_iou(best, truth))
    assert torch.cat(ours).mean() > 1.2 * torch.cat(windows).mean()


def test_two_objects_are_two_boxes():
    objects = [(100, 100, 220, 220), (700, 600, 850, 750)]
    features, boxes, levels = planted(objects)
    found = localise(features, boxes, levels, QUERY)
    assert len(found.boxes) == 2
    for x, y in ((0.16, 0.16), (0.775, 0.675)):
        assert sum(holds(box, x, y) for box in found.boxes) == 1
    assert len(localise(features, boxes, levels, QUERY, max_boxes=1).boxes) == 1


def test_a_wide_image():
    size = (1600, 700)
    features, boxes, levels = planted([(1300, 400, 1420, 520)], size)
    found = localise(features, boxes, levels, QUERY)
    assert found.heat.shape == (28, 64)
    assert holds(found.boxes[0], 1360 / 1600, 460 / 700)


def test_where_nothing_stands_out_there_is_no_box():
    boxes, levels = COVER.boxes(300, 200), COVER.levels(300, 200)
    features = QUERY + 1e-4 * torch.randn(
        len(boxes), 16, generator=torch.Generator().manual_seed(0)
    )
    found = localise(features, boxes, levels, QUERY)
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,)
    assert found.heat.shape == (43, 64) and not found.heat.any()
    alone = localise(features[:1], boxes[:1], levels[:1], QUERY)
    assert not len(alone.boxes) and not alone.heat.any()


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    c=st.integers(1, 10),
    seed=st.integers(0, 2**31),
    max_boxes=st.integers(1, 5),
    spacing=st.sampled_from(["even", "authors"]),
)
def test_any_features_of_any_image(width, height, c, seed, max_boxes, spacing):
    cover = CompleteCover(c, spacing)
    boxes, levels = cover.boxes(width, height), cover.levels(width, height)
    rng = torch.Generator().manual_seed(seed)
    features = F.normalize(torch.randn(len(boxes), 16, generator=rng), dim=1)
    found = localise(features, boxes, levels, QUERY, max_boxes)
    assert found.boxes.dtype == found.scores.dtype == found.heat.dtype == np.float32
    assert len(found.boxes) == len(found.scores) <= max_boxes
    assert (np.diff(found.scores) <= 0).all()
    left, top, wide, high = found.boxes.T
    assert (found.boxes >= 0).all() and (wide > 0).all() and (high > 0).all()
    assert (left + wide <= 1 + 1e-6).all() and (top + high <= 1 + 1e-6).all()
    overlaps = box_iou(*[corners(found.boxes)] * 2).fill_diagonal_(0)
    assert (overlaps <= 0.3).all()
    assert max(found.heat.shape) == 64
    assert 0 <= found.heat.min() and found.heat.max() in (0, 1)
    cosines = (features @ QUERY).numpy()
    assert all(np.abs(cosines - score).min() < 1e-5 for score in found.scores)
    again = localise(features, boxes, levels, 7 * QUERY.numpy(), max_boxes)
    for one, other in zip(vars(found).values(), vars(again).values()):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_overlapping_boxes_are_suppressed():
    boxes = np.array(
        [[0.1, 0.1, 0.4, 0.4], [0.12, 0.1, 0.4, 0.4], [0.6, 0.6, 0.2, 0.2]], np.float32
    )
    assert _choose(boxes, np.array([0.2, 0.3, 0.25])).tolist() == [1, 2]
    assert _choose(boxes, np.array([0.3, 0.3, 0.3])).tolist() == [0, 2]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"query": torch.zeros(16)}, "0 or not finite"),
        ({"query": torch.full((16,), torch.nan)}, "0 or not finite"),
        ({"query": torch.ones(5)}, r"give \(p, d\)"),
        ({"levels": np.ones(3)}, r"give \(p, d\)"),
        ({"features": torch.ones(16)}, r"give \(p, d\)"),
        ({"max_boxes": 0}, "give at least 1"),
    ],
)
def test_bad_input(change, message):
    features, boxes, levels = planted([(0, 0, 90, 90)])
    arguments = dict(features=features, boxes=boxes, levels=levels, query=QUERY)
    with pytest.raises(ValueError, match=message):
        localise(**arguments | change)
