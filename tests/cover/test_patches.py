"""Patches: what open_clip would make, where the cover says, in bounded memory."""

import resource

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from detail_embed.cover import CompleteCover, patches
from detail_embed.cover.patches import PatchSpec, extract_patches, whole_image

PHOTOS = {
    "astronaut": data.astronaut(),
    "chelsea": data.chelsea(),
    "tall": data.chelsea().transpose(1, 0, 2)[:, 50:200].copy(),
    "small": data.astronaut()[:40, :50].copy(),
}


def tensor(pixels):
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)


def difference(a, b):
    return (a.float() - b.float()).abs().mean().item()


def as_open_clip_does(pixels, spec):
    transform = open_clip.image_transform(
        spec.size,
        is_train=False,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        resize_mode=spec.resize_mode,
        interpolation=spec.interpolation,
    )
    return transform(Image.fromarray(pixels)) * 255


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [64, 225])
def test_patch_0_is_open_clips(photo, mode, interpolation, size):
    spec = PatchSpec(size, interpolation, mode)
    patches = extract_patches(tensor(PHOTOS[photo]), CompleteCover(1), spec)
    assert difference(patches[0], as_open_clip_does(PHOTOS[photo], spec)) < 0.5


def test_patch_0_of_an_elongated_photo_is_nearly_open_clips():
    pixels = np.tile(data.chelsea()[100:160], (1, 2, 1))
    spec = PatchSpec(64)
    ours = whole_image(tensor(pixels), spec)
    assert difference(ours, as_open_clip_does(pixels, spec)) < 2


@pytest.mark.parametrize("spacing", ["even", "authors"])
@pytest.mark.parametrize("width", [480, 960])
@pytest.mark.parametrize("size", [48, 96])
def test_patches_are_the_windows_resized_by_pillow(spacing, width, size):
    # sizes at which windows start at whole pixels of the resized levels
    pixels = np.tile(data.astronaut()[:480, :480], (1, 2, 1))[:, :width]
    cover, spec = CompleteCover(3, spacing), PatchSpec(size)
    patches = extract_patches(tensor(pixels), cover, spec)
    boxes = cover.boxes(width, 480)
    assert patches.shape == (len(boxes), 3, size, size)
    assert patches.dtype == torch.uint8 and patches.is_contiguous()
    for patch, box in zip(patches[1:], boxes[1:], strict=True):
        expected = Image.fromarray(pixels).resize(
            (size, size), Image.BICUBIC, box.tolist()
        )
        inner = (slice(None), slice(2, -2), slice(2, -2))
        assert difference(patch[inner], tensor(expected)[inner]) < 0.5


@given(
    c=st.integers(1, 15),
    width=st.integers(1, 250),
    height=st.integers(1, 250),
    spacing=st.sampled_from(["even", "authors"]),
    size=st.integers(8, 24),
)
@settings(deadline=None, max_examples=60)
def test_patches_lie_where_the_boxes_say(c, width, height, spacing, size):
    # red is x and green is y, in pixels: a patch's mean colour is its centre
    image = torch.zeros((3, height, width), dtype=torch.uint8)
    image[0] = torch.arange(width)
    image[1] = torch.arange(height)[:, None]
    cover, spec = CompleteCover(c, spacing), PatchSpec(size, "bilinear", "squash")
    patches = extract_patches(image, cover, spec)
    boxes = cover.boxes(width, height)
    assert len(patches) == len(boxes)
    centre = (boxes[:, :2] + boxes[:, 2:] - 1) / 2
    seen = patches[:, :2].float().mean(dim=(2, 3)).numpy()
    side = boxes[:, 2:] - boxes[:, :2]
    # half a resized pixel for the start, as much for the level's size, one grey
    # level, and what the authors' windows lose by rounding to whole pixels
    tolerance = side / size + 1 + (spacing == "authors")
    assert (np.abs(seen - centre) <= tolerance).all()


def test_memory_layout_does_not_matter():
    image = tensor(PHOTOS["chelsea"])
    cover, spec = CompleteCover(3), PatchSpec(32)
    assert image.stride() != image.contiguous().stride()
    torch.testing.assert_close(
        extract_patches(image, cover, spec),
        extract_patches(image.contiguous(), cover, spec),
        rtol=0,
        atol=0,
    )


def test_thin_stripes_are_averaged_not_aliased():
    image = torch.zeros((3, 512, 512), dtype=torch.uint8)
    image[:, :, ::2] = 255
    patches = extract_patches(image, CompleteCover(4), PatchSpec(32, "bilinear"))
    inner = patches[:, :, 2:-2, 2:-2].float()
    assert (inner - 127.5).abs().max() < 3


def test_float_source_gives_the_same_within_rounding():
    # what a GPU does: float there and back
    image = tensor(PHOTOS["chelsea"])
    spec = PatchSpec(64)
    assert difference(whole_image(image, spec), whole_image(image.half(), spec)) < 0.5


@pytest.mark.parametrize("name", ["planes", "interleaved"])
def test_windows_that_are_gathered_are_those_that_are_sliced(name):
    level = torch.randint(0, 256, (3, 90, 70), dtype=torch.uint8)
    if name == "interleaved":
        level = level.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    starts = np.random.default_rng(0).integers(0, (70 - 32, 90 - 32), (300, 2))
    found = patches._gather(level, starts, 32)
    assert found.shape == (300, 3, 32, 32)
    for window, (x, y) in zip(found, starts.tolist()):
        assert torch.equal(window, level[:, y : y + 32, x : x + 32])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("spacing", ["even", "authors"])
def test_gpu_gives_the_same_within_rounding(spacing):
    image = tensor(PHOTOS["astronaut"])
    cover, spec = CompleteCover(4, spacing), PatchSpec(64)
    on_gpu = extract_patches(image.cuda(), cover, spec)
    assert on_gpu.is_cuda and on_gpu.dtype == torch.uint8
    assert difference(on_gpu.cpu(), extract_patches(image, cover, spec)) < 0.5


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
def test_one_pixel(mode):
    image = torch.tensor([10, 200, 30], dtype=torch.uint8)[:, None, None]
    patches = extract_patches(image, CompleteCover(10), PatchSpec(16, "bicubic", mode))
    assert patches.shape == (1, 3, 16, 16)
    torch.testing.assert_close(patches[0], image.expand(3, 16, 16))


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
@pytest.mark.parametrize("size", [(30_000, 10), (10, 30_000), (30_000, 1)])
@pytest.mark.parametrize("spacing", ["even", "authors"])
@pytest.mark.slow
def test_extremely_long_images_take_little_memory(mode, size, spacing):
    width, height = size
    image = torch.full((3, height, width), 90, dtype=torch.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    patches = extract_patches(
        image, CompleteCover(10, spacing), PatchSpec(224, "bicubic", mode)
    )
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken * 1024 < 3 * patches.nelement() + 2**27
    assert patches[1:].eq(90).all() and patches[0].max() == 90


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros((10, 10, 3), dtype=torch.uint8),
        torch.zeros((1, 3, 10, 10), dtype=torch.uint8),
        torch.zeros((3, 10, 10)),
    ],
)
def test_other_tensors_are_refused(image):
    with pytest.raises(ValueError, match=r"give \(3, H, W\) uint8"):
        extract_patches(image, CompleteCover(2), PatchSpec(8))


@pytest.mark.parametrize(
    "spec, message",
    [
        ({"size": 0}, "size=0"),
        ({"size": 8, "interpolation": "nearest"}, "interpolation='nearest'"),
        ({"size": 8, "resize_mode": "crop"}, "resize_mode='crop'"),
    ],
)
def test_bad_specs_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        PatchSpec(**spec)
