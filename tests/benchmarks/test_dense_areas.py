"""How much each cell of a map counts for a window."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks._dense import area  # noqa: E402
from benchmarks._dense.looks import Look  # noqa: E402
from detail_embed.cover import CompleteCover  # noqa: E402


def slow(windows, frames, cells):
    """The same, cell by cell."""
    found = np.zeros((len(windows), len(frames), cells, cells))
    for p, (x0, y0, x1, y1) in enumerate(windows):
        for f, (left, top, right, bottom) in enumerate(frames):
            w, h = (right - left) / cells, (bottom - top) / cells
            for row in range(cells):
                for column in range(cells):
                    u, v = left + column * w, top + row * h
                    wide = min(x1, u + w) - max(x0, u)
                    high = min(y1, v + h) - max(y0, v)
                    found[p, f, row, column] = max(wide, 0) * max(high, 0)
    return found.reshape(len(windows), -1) / found.sum(axis=(1, 2, 3))[:, None]


@given(
    c=st.integers(1, 8), width=st.integers(40, 400), height=st.integers(40, 400),
    tiles=st.integers(1, 3), cells=st.integers(1, 7),
)
def test_shares_are_those_of_a_slow_count(c, width, height, tiles, cells):
    windows = CompleteCover(c).boxes(width, height)[::7]
    frames = Look(tiles, 32 * cells).frames(width, height)
    found = area.weights(windows, frames, cells)
    np.testing.assert_allclose(found, slow(windows, frames, cells), atol=1e-6)


@given(
    c=st.integers(1, 15), width=st.integers(40, 2000), height=st.integers(40, 2000),
    tiles=st.integers(1, 5), cells=st.integers(1, 9), value=st.floats(-1e3, 1e3),
)
def test_shares_sum_up_to_one_and_keep_a_constant_map(
    c, width, height, tiles, cells, value
):
    windows = CompleteCover(c).boxes(width, height)
    frames = Look(tiles, 32 * cells).frames(width, height)
    found = area.weights(windows, frames, cells)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
    constant = found @ np.full(found.shape[1], value)
    np.testing.assert_allclose(constant, value, atol=1e-4 * max(1, abs(value)))


def test_a_window_in_no_frame_is_named():
    with pytest.raises(ValueError, match="window 1 is in no frame"):
        area.weights([[0, 0, 4, 4], [8, 8, 9, 9]], [[0, 0, 8, 8]], 2)


def test_parts_are_read_row_by_row():
    found = area.parts([[10, 20, 14, 28]], 2)
    assert found.tolist() == [
        [10, 20, 12, 24], [12, 20, 14, 24], [10, 24, 12, 28], [12, 24, 14, 28]
    ]
