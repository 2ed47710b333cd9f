"""Squares around known boxes: inside the image, around the box, square."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detail_embed.cover.patches import PatchSpec, extract_windows
from detail_embed.cover.squares import (
    EMPTY,
    NO_NUMBERS,
    ONE_PIXEL,
    OUTSIDE,
    check_padding,
    square_windows,
)

SIDES = st.integers(1, 400)
SHARES = st.floats(0, 1)
PADDINGS = st.floats(0, 2)


def one(box, width, height, padding=0.0):
    windows, (reason,) = square_windows(np.array([box], float), width, height, padding)
    return windows[0].tolist(), reason


@given(SIDES, SIDES, st.tuples(SHARES, SHARES, SHARES, SHARES), PADDINGS)
def test_a_window_is_inside_the_image_and_holds_the_box(width, height, box, padding):
    (x0, y0, x1, y1), reason = one(box, width, height, padding)
    if reason is not None:
        return
    assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    left, top = box[0] * width, box[1] * height
    right, bottom = min(left + box[2] * width, width), min(
        top + box[3] * height, height
    )
    assert x0 <= left + 1e-5 and right <= x1 + 1e-5
    assert y0 <= top + 1e-5 and bottom <= y1 + 1e-5


@given(
    st.integers(2, 400), st.integers(2, 400), st.data(), PADDINGS
)
def test_a_window_is_the_square_that_was_asked_for(width, height, data, padding):
    x0, x1 = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2,
                                       unique=True)))
    y0, y1 = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2,
                                       unique=True)))
    longer, short = max(x1 - x0, y1 - y0), min(width, height)
    box = x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height
    window, reason = one(box, width, height, padding)
    assert (reason is None) == (longer > 1)
    if reason is not None:
        return
    wide, high = window[2] - window[0], window[3] - window[1]
    asked = int(np.ceil(longer * (1 + 2 * padding) - 1e-6))
    if longer <= short:  # a square fits: it is one, with all the padding there is
        assert wide == high == min(asked, short)
    else:
        assert max(wide, high) == longer and min(wide, high) == short
    free = [  # in the middle, where the image does not end
        abs((low + high) - (at + to)) <= 1
        for low, high, at, to, total in (
            (x0, x1, window[0], window[2], width),
            (y0, y1, window[1], window[3], height),
        ) if at > 0 and to < total
    ]
    assert all(free)


@pytest.mark.parametrize(
    "box, reason",
    [
        ([np.nan, 0, 0.5, 0.5], NO_NUMBERS),
        ([0, 0, np.inf, 0.5], NO_NUMBERS),
        ([0.2, 0.2, 0, 0.5], EMPTY),
        ([0.2, 0.2, 0.1, -0.5], EMPTY),
        ([1.2, 0.2, 0.1, 0.1], OUTSIDE),
        ([-0.5, 0.2, 0.4, 0.1], OUTSIDE),
        ([1e308, 0.2, 1e308, 0.1], OUTSIDE),
        ([0.5, 0.5, 0.01, 0.01], ONE_PIXEL),
        ([0.5, 0.5, 1e-9, 1e-9], ONE_PIXEL),
        ([0.5, 0.5, 0.02, 0.01], None),
        ([-0.5, -0.5, 2, 2], None),
    ],
)
def test_a_box_that_cannot_be_used_says_why(box, reason):
    assert one(box, 100, 100)[1] == reason


def test_a_box_is_cut_off_at_the_image_and_its_square_moved_into_it():
    assert one([-0.1, 0.4, 0.2, 0.1], 100, 100)[0] == [0, 40, 10, 50]
    assert one([0.9, 0.9, 0.1, 0.1], 100, 100, 0.5)[0] == [80, 80, 100, 100]
    assert one([0, 0.45, 1, 0.1], 200, 100)[0] == [0, 0, 200, 100]
    assert one([0.1, 0.1, 0.2, 0.1], 100, 100, 10)[0] == [0, 0, 100, 100]


def test_a_window_that_is_no_square_keeps_its_shape():
    image = torch.full((3, 40, 80), 255, dtype=torch.uint8)
    windows = np.array([[0, 0, 80, 40], [10, 10, 30, 30]])
    whole, part = extract_windows(image, windows, PatchSpec(32))
    assert (whole[:, 8:24] == 255).all()
    assert (whole[:, :8] == 0).all() and (whole[:, 24:] == 0).all()
    assert (part == 255).all()


@pytest.mark.parametrize("padding", [-0.1, float("nan"), 11, 1e9, True, "0.1", None])
def test_a_padding_that_is_no_share(padding):
    with pytest.raises(ValueError, match="padding=.*give a number from 0 to 10"):
        check_padding(padding)
