"""What the tower sees of a patch: on a GPU in one pass, elsewhere in place."""

import pytest
import torch

from detail_embed.backbone.preprocessing import in_one_pass, normalise

MEAN = torch.tensor([0.481, 0.457, 0.408]).view(1, 3, 1, 1)
STD = torch.tensor([0.268, 0.261, 0.275]).view(1, 3, 1, 1)


def patches(kind):
    found = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    return (found, 255) if kind == "bytes" else (found / 255, 1)


@pytest.mark.parametrize("kind", ["bytes", "floats"])
@pytest.mark.parametrize("function", [normalise, in_one_pass])
def test_colours_are_normalised_and_the_patches_are_left_alone(kind, function):
    images, white = patches(kind)
    before = images.clone()
    found = function(images, white, MEAN, STD, torch.float32)
    wanted = (images.double() / white - MEAN) / STD
    assert found.dtype == torch.float32 and found.is_contiguous()
    assert (found - wanted).abs().max() < 2e-6
    assert torch.equal(images, before)


@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_half_precision_is_rounded_once(kind):
    images, white = patches(kind)
    exact = in_one_pass(images, white, MEAN, STD, torch.float32)
    half = in_one_pass(images, white, MEAN, STD, torch.bfloat16)
    assert torch.equal(half, exact.bfloat16())
    slow = normalise(images, white, MEAN, STD, torch.bfloat16)
    assert (slow.float() - half.float()).abs().max() < 0.02
