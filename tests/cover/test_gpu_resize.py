"""Resizing by matrices, as on a GPU: the same as torch's own antialiased resize."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from detail_embed.cover import gpu_resize
from detail_embed.cover.patches import PatchSpec, whole_image

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
    assert not gpu_resize.fits(image, 48, 32)
    found = whole_image(image.to(gpu_resize.DTYPE), spec)
    assert torch.equal(found, expected)


def test_a_strip_of_30_000_pixels():
    image = random_image(10, 30_000)
    spec = PatchSpec(224, resize_mode="squash")
    found = whole_image(image.to(gpu_resize.DTYPE), spec)
    assert (found.int() - whole_image(image, spec).int()).abs().max() <= 2
