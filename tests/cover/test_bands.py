"""Windows of an image that comes row by row are those of the image."""

import numpy as np
import pytest

from detail_embed.cover import CompleteCover, bands
from detail_embed.cover.complete_cover import HUGE_PIXELS, MAX_C
from detail_embed.cover.windows import HUGE_WINDOWS

WIDTH, HEIGHT, SIZE = 411, 307, 16


@pytest.fixture
def image():
    """Of smooth colours, so that a pixel more or less is no other picture."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x / WIDTH, y / HEIGHT, (x + y) / (WIDTH + HEIGHT)], -1) * 255


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_each_window_comes_once_with_its_pixels(image, rows, monkeypatch):
    monkeypatch.setattr(bands, "_KEPT", 2_000)
    boxes = CompleteCover(6).boxes(WIDTH, HEIGHT)
    image = image.astype(np.uint8)
    parts = (image[top : top + rows] for top in range(0, HEIGHT, rows))
    found = dict(bands.crops(parts, WIDTH, HEIGHT, boxes, SIZE))
    assert sorted(found) == list(range(len(boxes)))
    for row, (x0, y0, x1, y1) in enumerate(boxes):
        ends = image[y0, x0], image[y1 - 1, x1 - 1]
        off = [abs(found[row][i, i].astype(int) - ends[i]).max() for i in (0, -1)]
        assert max(off) <= 8  # a smaller copy's corner is the mean of some pixels


def test_rows_are_let_go(image, monkeypatch):
    monkeypatch.setattr(bands, "_KEPT", 100)
    made = []

    def rows():
        for top in range(0, HEIGHT, 4):
            yield image[top : top + 4].astype(np.uint8)
            made.append(sum(len(band) for _, band in copies[0]._bands))

    copies = []
    own = bands._Copy

    def noted(*args):
        copies.insert(0, own(*args))
        return copies[0]

    monkeypatch.setattr(bands, "_Copy", noted)
    boxes = CompleteCover(15).boxes(WIDTH, HEIGHT)
    list(bands.crops(rows(), WIDTH, HEIGHT, boxes, SIZE))
    assert 0 < max(made) <= 4 * SIZE + 4


@pytest.mark.parametrize(
    "size", [(39_266, 29_140), (100_000, 100_000), (300_000, 40_000), (17_000, 16_000)]
)
def test_auto_goes_on_in_huge_images(size):
    cover = CompleteCover("auto")
    assert cover.for_image(*size).c > MAX_C
    boxes = cover.boxes(*size)
    assert len(boxes) == len(cover.levels(*size)) <= HUGE_WINDOWS
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert cover.guarantee(*size)
    assert len(boxes) > HUGE_WINDOWS * 0.8


def test_auto_stays_in_other_images():
    side = int(HUGE_PIXELS**0.5)
    assert CompleteCover("auto").for_image(side, side).c == MAX_C
    assert CompleteCover("auto", input_size=4000).for_image(30_000, 30_000).c == 7
    with pytest.raises(ValueError, match="1 to 15"):
        CompleteCover(16)
