"""Resizing by matrices, as on a GPU: the same as torch's own antialiased resize."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from detail_embed.cover import CompleteCover, gpu_resize
from detail_embed.cover.patches import PatchSpec, extract_patches, whole_image

sides = st.integers(1, 70)
modes = st.sampled_from(["bicubic", "bilinear"])


def random_image(height, width):
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(
        0, 256, (3, height, width), generator=generator, dtype=torch.uint8
    )


def reference(image, height, width, mode):
    # in planes, torch 2.15 is wrong where the width becomes 1
    source = image.double()[None].contiguous(memory_format=torch.channels_last)
    return F.interpolate(source, (height, width), mode=mode, antialias=True)[0]


@given(sides, sides, sides, sides, modes)
@settings(max_examples=200, deadline=None)
def test_equals_torch(old_height, old_width, height, width, mode):
    image = random_image(old_height, old_width)
    found = gpu_resize.resize(image.float(), height, width, mode)
    expected = reference(image, height, width, mode)
    assert found.shape == expected.shape and found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.01


@pytest.fixture
def tiles_of(monkeypatch):
    """Sets how many new pixels a tile has."""

    def set_to(fewest, most=256, read=384):
        for name, value in (("_FEWEST", fewest), ("_MOST", most), ("_READ", read)):
            monkeypatch.setattr(gpu_resize, name, value)
        if hasattr(gpu_resize._own, "weights"):
            gpu_resize._own.weights.clear()
            gpu_resize._own.bytes = 0

    return set_to


@given(sides, sides, sides, sides, modes, st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_tiles_of_any_size_make_what_one_matrix_makes(
    old_height, old_width, height, width, mode, tile
):
    image = random_image(old_height, old_width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_resize, "_MOST", 10**6)
        patch.setattr(gpu_resize, "_FEWEST", 10**6)
        expected = gpu_resize.resize(image.double(), height, width, mode)
        patch.setattr(gpu_resize, "_MOST", tile)
        patch.setattr(gpu_resize, "_FEWEST", tile)
        found = gpu_resize.resize(image.double(), height, width, mode)
    assert found.isfinite().all()
    assert (found - expected).abs().max() < 0.01


@given(st.integers(1, 5000), st.integers(1, 5000), modes)
@settings(max_examples=300, deadline=None)
def test_a_tile_reads_all_that_has_weight(old, new, mode):
    tiling = gpu_resize._tiling(old, new, mode)
    reach = gpu_resize._REACH[mode] * max(old / new, 1)
    assert len(tiling.starts) == -(-new // tiling.tile)
    for number, start in enumerate(tiling.starts):
        first, count = gpu_resize._made(tiling, number)
        low = (first + 0.5) * old / new - reach
        high = (first + count - 0.5) * old / new + reach
        assert 0 <= start and start + tiling.span <= old
        assert start <= max(low - 0.5, 0) + 1 and start + tiling.span >= min(
            high - 0.5, old
        )


@pytest.mark.parametrize("width, height, c, most", [
    (4000, 3000, 10, 76), (2240, 2240, 10, 23), (1120, 1120, 10, 14),
])
def test_the_work_of_a_cover_stays_small(width, height, c, most):
    # with a whole matrix for each side: 631, 122 and 72 GFLOP
    image = torch.empty((3, height, width), dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counter:
        extract_patches(image, CompleteCover(c), PatchSpec(224))
    assert counter.get_total_flops() < most * 1e9


@pytest.fixture
def made(monkeypatch, tiles_of):
    """The weights that were computed."""
    tiles_of(64)
    made, weights = [], gpu_resize._weights

    def counting(*arguments):
        made.append(arguments[:2])
        return weights(*arguments)

    monkeypatch.setattr(gpu_resize, "_weights", counting)
    return made


def cut(*sizes):
    for width, height in sizes:
        image = torch.empty((3, height, width), dtype=torch.uint8, device="meta")
        extract_patches(image, CompleteCover(10), PatchSpec(224))


def test_sizes_that_take_turns_find_their_weights_again(made):
    sizes = [(4000, 3000), (3000, 4000), (2240, 2240)]
    cut(*sizes)
    first = len(made)
    cut(*sizes * 4)
    assert len(made) == first
    assert sum(w.nbytes for w in gpu_resize._own.weights.values()) == (
        gpu_resize._own.bytes
    )


def test_what_is_kept_is_bounded_in_bytes(made, monkeypatch):
    monkeypatch.setattr(gpu_resize, "_CACHED_BYTES", 2**22)
    cut(*((1000 + 100 * i, 900 + 150 * i) for i in range(10)))
    kept = gpu_resize._own.weights.values()
    assert gpu_resize._own.bytes == sum(w.nbytes for w in kept) <= 2**22
    image = torch.rand(3, 900, 900)
    monkeypatch.setattr(gpu_resize, "_CACHED_BYTES", 1)
    gpu_resize.resize(image, 300, 300, "bicubic")
    assert len(gpu_resize._own.weights) == 1  # larger than all room, yet of use


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_many_tiles_are_as_exact_as_torch(mode):
    image = random_image(1200, 1600)
    for height, width in ((896, 1195), (1300, 1700), (224, 299)):
        found = gpu_resize.resize(image.float(), height, width, mode)
        assert (found - reference(image, height, width, mode)).abs().max() < 0.02


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(64, 64), (300, 1000), (900, 640), (700, 64)])
def test_half_precision_is_less_than_a_grey_level_off(size, mode):
    image = random_image(700, 900)
    found = gpu_resize.resize(image.to(gpu_resize.DTYPE), *size, mode)
    error = (found - reference(image, *size, mode)).abs()
    assert error.max() < 0.7 and error.mean() < 0.06


def test_a_plain_image_stays_so():
    image = torch.full((3, 500, 333), 255, dtype=gpu_resize.DTYPE)
    found = gpu_resize.resize(image, 97, 61, "bicubic")
    assert (found - 255).abs().max() < 0.3


def test_an_image_too_large_for_matrices_is_resized_as_bytes(monkeypatch):
    image, spec = random_image(90, 60), PatchSpec(32)
    expected = whole_image(image, spec)
    monkeypatch.setattr(gpu_resize, "_MOST_WEIGHTS", 90 * 48 - 1)
    assert not gpu_resize.fits(image, 48, 32, "bicubic")
    found = whole_image(image.to(gpu_resize.DTYPE), spec)
    assert torch.equal(found, expected)


def test_a_strip_of_30_000_pixels():
    image = random_image(10, 30_000)
    spec = PatchSpec(224, resize_mode="squash")
    found = whole_image(image.to(gpu_resize.DTYPE), spec)
    assert (found.int() - whole_image(image, spec).int()).abs().max() <= 2
