"""Complete Cover: counts, geometry, and the guarantee by brute force."""

import json
import logging

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import MAX_WINDOWS

COUNTS = [1, 5, 14, 30, 39, 66, 79, 103, 136, 166, 187, 248, 273, 315, 355]

cs = st.integers(1, 15)


@st.composite
def image_sizes(draw, max_short=64, max_aspect=8):
    short = draw(st.integers(1, max_short))
    long = draw(st.integers(short, max_aspect * short))
    return draw(st.permutations([short, long]))


def starts(c, spacing, m, width, height):
    cover = CompleteCover(c, spacing)
    boxes = cover.boxes(width, height)[cover.levels(width, height) == m]
    return sorted(set(boxes[:, 0].tolist()))


@pytest.mark.parametrize("c", range(1, 16))
@pytest.mark.parametrize("side", [224, 1000, 2240])
def test_counts_of_square_images(c, side):
    assert len(CompleteCover(c).boxes(side, side)) == COUNTS[c - 1]


@pytest.mark.parametrize("c", range(1, 16))
@pytest.mark.parametrize("size", [(224, 224), (640, 480), (1920, 1080), (512, 2048)])
def test_authors_counts_do_not_depend_on_the_aspect_ratio(c, size):
    assert len(CompleteCover(c, "authors").boxes(*size)) == COUNTS[c - 1]


@pytest.mark.parametrize(
    "side, count", [(1, 385), (10, 385), (11, 204), (20, 204), (21, 166)]
)
def test_authors_counts_of_tiny_images(side, count):
    assert len(CompleteCover(10, "authors").boxes(side, side)) == count


def test_authors_starts():
    expected = {
        10: [0],
        6: [0, 896],
        4: [0, 893, 1344],
        3: [0, 670, 1340, 1568],
        2: [0, 447, 894, 1341, 1788, 1792],
        1: list(range(0, 2240, 224)),
    }
    levels = CompleteCover(10, "authors").levels(2240, 2240)
    assert levels.tolist() == sorted(levels, reverse=True)
    assert {m: starts(10, "authors", m, 2240, 2240) for m in set(levels)} == expected


def test_authors_windows_have_the_images_aspect_ratio():
    cover = CompleteCover(10, "authors")
    boxes = cover.boxes(1280, 720)
    sides = boxes[:, 2:] - boxes[:, :2]
    expected = cover.levels(1280, 720)[:, None] * [128, 72]
    np.testing.assert_array_equal(sides, expected)


def test_authors_boxes_hold_the_stretched_windows():
    # 427 stretches to 430: level 1 starts at multiples of 43 * 427 / 430
    boxes = CompleteCover(10, "authors").boxes(427, 640)[-100:][:10, [0, 2]]
    exact = np.arange(11) * 42.7
    np.testing.assert_array_equal(boxes[:, 0], np.floor(exact[:-1]))
    np.testing.assert_array_equal(boxes[:, 1], np.ceil(exact[1:]))


def test_even_starts():
    assert starts(10, "even", 6, 2240, 2240) == [0, 896]
    assert starts(10, "even", 4, 2240, 2240) == [0, 672, 1344]
    assert starts(10, "even", 2, 2240, 2240) == [0, 358, 717, 1075, 1434, 1792]


def test_long_image_gets_full_height_squares():
    cover = CompleteCover(10)
    boxes, levels = cover.boxes(300, 100), cover.levels(300, 100)
    assert boxes[0].tolist() == [0, 0, 300, 100]
    squares = boxes[levels == 10][1:]
    # next level is 6: neighbours at most 40 pixels apart
    assert squares[:, 0].tolist() == [0, 40, 80, 120, 160, 200]
    assert squares[:, 2].tolist() == [100, 140, 180, 220, 260, 300]


def test_c_1_slides_by_half_a_window():
    boxes = CompleteCover(1).boxes(100, 200)
    assert boxes.tolist() == [
        [0, 0, 100, 200],
        [0, 0, 100, 100],
        [0, 50, 100, 150],
        [0, 100, 100, 200],
    ]


@given(cs, image_sizes(), st.sampled_from(["even", "authors"]))
@settings(deadline=None)
def test_boxes_are_inside_and_every_level_covers_every_pixel(c, size, spacing):
    width, height = size
    cover = CompleteCover(c, spacing)
    boxes, levels = cover.boxes(width, height), cover.levels(width, height)
    assert boxes.dtype == np.int64
    assert boxes[0].tolist() == [0, 0, width, height]
    assert levels[0] == c and (np.diff(levels) <= 0).all()
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= size).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    for m in set(levels[1:]):
        seen = np.zeros((height, width), dtype=bool)
        for x0, y0, x1, y1 in boxes[1:][levels[1:] == m]:
            seen[y0:y1, x0:x1] = True
        assert seen.all()


@given(cs, image_sizes(max_short=400))
@settings(deadline=None)
def test_even_windows_are_square_distinct_and_no_sparser_along_the_long_side(c, size):
    width, height = size
    cover = CompleteCover(c)
    boxes, levels = cover.boxes(width, height), cover.levels(width, height)
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    for m in set(levels[1:]):
        level = boxes[1:][levels[1:] == m]
        sides = level[:, 2:] - level[:, :2]
        assert (sides == -(-m * min(size) // c)).all()
        x, y = (np.unique(level[:, axis]) for axis in (0, 1))
        short, long = (y, x) if width >= height else (x, y)
        if m < c:
            widest = np.diff(short).max(initial=1)
            assert np.diff(long).max(initial=1) <= widest


@given(st.integers(2, 15), image_sizes(max_short=400))
@settings(deadline=None)
def test_even_windows_are_evenly_spaced(c, size):
    cover = CompleteCover(c)
    boxes, levels = cover.boxes(*size), cover.levels(*size)
    for m in set(levels[1:]):
        for axis in (0, 1):
            gaps = np.diff(np.unique(boxes[1:][levels[1:] == m, axis]))
            assert gaps.size == 0 or np.ptp(gaps) <= 1


@given(cs, image_sizes(max_short=130))
@settings(deadline=None, max_examples=100)
def test_guarantee_by_brute_force(c, size):
    check_guarantee(CompleteCover(c), *size)


@given(cs, st.integers(0, 60), st.integers(0, 200))
@settings(deadline=None, max_examples=60)
def test_authors_guarantee_by_brute_force(c, more_width, more_height):
    cover = CompleteCover(c, "authors")
    check_guarantee(cover, 10 * c + more_width, 10 * c + more_height)


def check_guarantee(cover, width, height):
    """Tries every position of every square object of whole pixels.

    The windows of a level are all pairs of its intervals along x and along y,
    so a level holds an object at every position if it does along either side.
    """
    boxes, levels = cover.boxes(width, height), cover.levels(width, height)
    short, rows = min(width, height), cover.guarantee()
    even = cover.spacing == "even"
    full = np.array([short, short] if even else [width, height])
    # the authors' windows are rounded to whole pixels at both ends
    rounding = 1 if even else 2
    assert [r.larger_than for r in rows] == [0, *(r.object_side for r in rows[:-1])]
    for row in rows:
        window = full * row.level / cover.c
        assert row.window == row.level / cover.c
        fits = (boxes[:, 2:] - boxes[:, :2] < window + rounding).all(axis=1)
        for side in range(1, short + 1):
            if row.larger_than < side / short <= row.object_side:
                assert any(
                    holds_everywhere(boxes[fits & (levels == m)], side, width, height)
                    for m in set(levels[levels <= row.level])
                ), (row, side)
                assert side / window.min() > row.fill
                assert cover.window_for(side / short) == row.window


def holds_everywhere(boxes, side, width, height):
    return len(boxes) > 0 and all(
        holds_along(boxes, axis, side, total)
        for axis, total in enumerate((width, height))
    )


def holds_along(boxes, axis, side, total):
    x0, x1 = np.unique(boxes[:, [axis, axis + 2]], axis=0).T
    x = np.arange(total - side + 1)[:, None]
    return bool(((x0 <= x) & (x + side <= x1)).any(axis=1).all())


def check_guarantee_of_an_image(cover, width, height):
    """Every whole-pixel side is held, at a level that is there, and fills it."""
    boxes, levels = cover.boxes(width, height), cover.levels(width, height)
    rows, even = cover.guarantee(width, height), cover.spacing == "even"
    full = np.array([min(width, height)] * 2 if even else [width, height])
    assert [r.larger_than for r in rows] == [0, *(r.object_side for r in rows[:-1])]
    is_window = np.arange(len(boxes)) > 0
    is_window[0] = not even or width == height
    for row in rows:
        level = boxes[is_window & (levels == row.level)]
        assert len(level), row
        pixels = (level[:, 2:] - level[:, :2]).max(axis=0)
        assert (pixels / full).max() == row.window
        for axis in (0, 1):
            for side in range(1, full[axis] + 1):
                if row.larger_than < side / full[axis] <= row.object_side:
                    assert holds_along(level, axis, side, (width, height)[axis]), row
                    assert side / pixels[axis] > row.fill, row
                    fraction = side / full[axis]
                    assert cover.window_for(fraction, width, height) == row.window


@pytest.mark.parametrize("spacing", ["even", "authors"])
@pytest.mark.parametrize("c", [1, 5, 10, 12])
@pytest.mark.slow
def test_guarantee_of_every_small_image(c, spacing):
    cover = CompleteCover(c, spacing)
    for width in range(1, 41):
        for height in {7, 19, 40, width}:
            check_guarantee_of_an_image(cover, width, height)


@given(cs, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["even", "authors"]))
@settings(deadline=None, max_examples=60)
def test_guarantee_of_an_image_by_brute_force(c, width, height, spacing):
    check_guarantee_of_an_image(CompleteCover(c, spacing), width, height)


def test_guarantee_of_an_image_that_goes_without_levels():
    for size in ((3000, 3), (5, 20_001)):
        check_guarantee_of_an_image(CompleteCover(10), *size)


def test_guarantee_of_a_large_image_is_the_general_one():
    for spacing in ("even", "authors"):
        cover = CompleteCover(10, spacing)
        general, exact = cover.guarantee(), cover.guarantee(40_000, 120_000)
        # neighbours that touch hold a single pixel: a row of its own
        exact = [r for r in exact if r.object_side > 1e-3]
        assert [r.level for r in exact] == [r.level for r in general]
        for a, b in zip(exact, general):
            assert a.object_side == pytest.approx(b.object_side, abs=1e-3)
            assert a.fill == pytest.approx(b.fill, abs=1e-3)
    auto = CompleteCover("auto", input_size=224)
    assert auto.guarantee(1120, 1200) == CompleteCover(5).guarantee(1120, 1200)
    with pytest.raises(ValueError, match="both width and height"):
        cover.guarantee(100)


def test_guarantee_of_c_10():
    rows = CompleteCover(10).guarantee()
    assert [(r.level, round(r.object_side, 4), r.window) for r in rows] == [
        (2, 0.04, 0.2),
        (3, 0.0667, 0.3),
        (4, 0.1, 0.4),
        (6, 0.2, 0.6),
        (10, 0.6, 1.0),
    ]
    assert [round(r.fill, 3) for r in rows] == [0, 0.133, 0.167, 0.167, 0.2]


def test_window_for():
    cover = CompleteCover(10)
    assert cover.window_for(0.04) == 0.2
    assert cover.window_for(0.05) == 0.3
    assert cover.window_for(0.7) is None


@given(st.integers(1, 100), st.integers(1, 5000))
def test_auto_takes_the_largest_c_whose_windows_fill_the_input(size, short):
    assume(size <= short < 15 * size)
    auto = CompleteCover("auto", input_size=size)
    boxes = auto.boxes(2 * short, short)
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= size
    assert short / (auto.for_image(2 * short, short).c + 1) < size


def test_auto_is_clamped_and_per_image():
    cover = CompleteCover("auto", input_size=224)
    assert cover.for_image(50, 50).c == 1
    assert cover.for_image(10000, 9000).c == 15
    np.testing.assert_array_equal(
        cover.boxes(1120, 1200), CompleteCover(5).boxes(1120, 1200)
    )
    assert cover.levels(1120, 1200)[0] == 5
    with pytest.raises(ValueError, match="for_image"):
        cover.guarantee()


@pytest.mark.parametrize("c", [*range(1, 16), "auto"])
def test_one_pixel_is_one_window(c):
    assert CompleteCover(c).boxes(1, 1).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("c", range(1, 16))
def test_window_limit_is_never_met_up_to_an_aspect_ratio_of_8(c):
    assert CompleteCover(c).levels(8000, 1000)[-1] == 1


@pytest.mark.parametrize("size", [(30_000, 10), (10, 30_000), (30_000, 100)])
def test_extreme_images_keep_their_largest_levels(size, caplog):
    cover = CompleteCover(10)
    with caplog.at_level(logging.WARNING):
        boxes = cover.boxes(*size)
    assert 1 < len(boxes) <= MAX_WINDOWS
    assert boxes[0].tolist() == [0, 0, *size]
    assert "go without windows of level" in caplog.text
    axis = int(size[1] > size[0])
    squares = boxes[1:][cover.levels(*size)[1:] == 10]
    starts, ends = squares[:, axis], squares[:, axis + 2]
    assert starts[0] == 0 and ends[-1] == max(size)
    assert (starts[1:] <= ends[:-1]).all()


@pytest.mark.parametrize("c", [1, 2, 10, 15])
def test_squares_come_edge_to_edge_before_they_go(c):
    cover = CompleteCover(c)
    assert len(cover.boxes(4095, 1)) == 4096
    assert len(cover.boxes(4096, 1)) == 1
    boxes = cover.boxes(8 * 4095 - 3, 8)[1:]
    assert len(boxes) == 4095 and (np.diff(boxes[:, 0]) <= 8).all()


@pytest.mark.parametrize("c", [0, 16, -1, 2.5, "ten", True, None])
def test_bad_c_is_named(c):
    with pytest.raises(ValueError, match=f"c={c!r}"):
        CompleteCover(c)


def test_other_bad_settings_are_named():
    with pytest.raises(ValueError, match="spacing='odd'"):
        CompleteCover(spacing="odd")
    with pytest.raises(ValueError, match="input_size=0"):
        CompleteCover(input_size=0)
    with pytest.raises(ValueError, match="width=0"):
        CompleteCover().boxes(0, 5)
    with pytest.raises(ValueError, match="height=-1"):
        CompleteCover().levels(5, -1)


@pytest.mark.parametrize(
    "cover, slug",
    [
        (CompleteCover(), "cc10-even"),
        (CompleteCover(4, "authors"), "cc4-authors"),
        (CompleteCover("auto", input_size=64), "ccauto64-even"),
    ],
)
def test_slug_and_dict(cover, slug):
    assert cover.slug == slug
    assert CompleteCover.from_dict(json.loads(json.dumps(cover.to_dict()))) == cover


def test_from_dict_names_what_it_does_not_know():
    with pytest.raises(ValueError, match="unknown cover settings: stride"):
        CompleteCover.from_dict({"c": 3, "stride": 2})


def test_boxes_belong_to_the_caller():
    cover = CompleteCover(3)
    cover.boxes(30, 30)[:] = 0
    assert cover.boxes(30, 30)[0].tolist() == [0, 0, 30, 30]
