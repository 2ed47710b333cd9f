"""All windows of an image from one pass: the areas, the pool, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detail_embed.backbone import Backbone, dense
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from tests.tiny import tiny_backbone


@pytest.fixture(scope="module")
def demo():
    return Backbone.load(DEMO, device="torch", precision="fp32")


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.integers(0, 255, (1, 3, 5, 5)).astype(np.float32))
    found = torch.nn.functional.interpolate(small, (height, width), mode="bilinear")
    return found[0].to(torch.uint8)


def slow(ends, cells, places):
    """The same, place by place."""
    found = np.zeros((len(ends), cells, places))
    for p, (start, end) in enumerate(ends):
        step = (end - start) / cells
        for cell in range(cells):
            low, high = start + cell * step, start + (cell + 1) * step
            for place in range(places):
                shared = min(high, (place + 1) / places) - max(low, place / places)
                found[p, cell, place] = max(shared, 0) / (high - low)
    return found


@given(c=st.integers(1, 15), side=st.integers(40, 3000), cells=st.integers(1, 7),
       places=st.integers(1, 40), value=st.floats(-1e3, 1e3))
def test_shares_sum_up_to_one_and_keep_a_constant_map(c, side, cells, places, value):
    boxes = CompleteCover(c).boxes(side, side)
    found = dense.shares(boxes[:, [0, 2]] / side, cells, places)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(
        found @ np.full(places, value), value, atol=1e-5 * max(1, abs(value))
    )


@given(start=st.floats(0, 0.8), length=st.floats(0.01, 0.2), cells=st.integers(1, 4),
       places=st.integers(1, 9))
def test_shares_are_those_of_a_slow_count(start, length, cells, places):
    ends = np.array([[start, start + length], [0, 1]])
    np.testing.assert_allclose(
        dense.shares(ends, cells, places), slow(ends, cells, places), atol=1e-5
    )


def test_a_window_outside_is_refused():
    with pytest.raises(ValueError, match="leaves the image"):
        dense.shares(np.array([[0.5, 1.2]]), 2, 4)


def test_grids_are_means_by_area_in_rows_and_columns():
    places = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    boxes = np.array([[0, 0, 1, 1], [0.1, 0.3, 0.5, 0.9], [0.6, 0.3, 0.9, 0.9]])
    found = dense.grids(places, boxes, 2)
    assert found.shape == (3, 2, 2, 4)
    across = torch.from_numpy(slow(boxes[:, [0, 2]], 2, 5)).float()
    down = torch.from_numpy(slow(boxes[:, [1, 3]], 2, 3)).float()
    wanted = torch.einsum("pyh,pxw,hwk->pyxk", down, across, places)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_of_its_own_picture_a_window_has_the_feature_of_its_crop(demo):
    crop = picture(demo.input_size, demo.input_size)
    side = demo.input_size
    boxes = np.array([[0, 0, side, side]] * 2)
    found = dense.encode_windows(demo, crop, boxes, scale=1)
    wanted = demo.encode_patches(crop[None]).expand(2, -1)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(300, 300), (300, 500), (900, 64),
                                               (40, 4000)])
def test_windows_of_any_image_get_unit_features(demo, height, width):
    image, cover = picture(height, width), CompleteCover(4)
    boxes = cover.boxes(width, height)
    found = dense.encode_windows(demo, image, boxes)
    assert found.shape == (len(boxes), demo.dim) and found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(boxes)))


def test_many_windows_are_pooled_in_parts_with_the_same_result(demo, monkeypatch):
    image, boxes = picture(256, 256), CompleteCover(5).boxes(256, 256)
    wanted = dense.encode_windows(demo, image, boxes)
    monkeypatch.setattr(dense, "_NUMBERS", 2**13)
    torch.testing.assert_close(dense.encode_windows(demo, image, boxes), wanted,
                               atol=1e-5, rtol=1e-4)


def test_a_vit_is_refused(tmp_path):
    backbone = tiny_backbone(tmp_path)
    with pytest.raises(ValueError, match="takes a ModifiedResNet, such as RN50's"):
        dense.encode_windows(backbone, picture(64, 64), np.array([[0, 0, 64, 64]]))


def test_the_cover_says_so_and_has_a_name_of_its_own():
    cover = CompleteCover(5, features="dense")
    assert cover.slug == "cc5-even-dense" and CompleteCover(5).slug == "cc5-even"
    assert CompleteCover.from_dict(cover.to_dict()) == cover
    with pytest.raises(ValueError, match="give one of the two"):
        dataclasses.replace(cover, skip_flat=True)
    with pytest.raises(ValueError, match="features='all'"):
        CompleteCover(5, features="all")
