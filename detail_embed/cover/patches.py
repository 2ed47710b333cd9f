"""Patches: the windows of a cover, cut from an image at the backbone's input size.

Each level of the cover is one antialiased resize of the whole image, after which
its windows are plain slices. Patch 0, the whole image, is made as the backbone's
own preprocessing makes it, so its feature is what CLIP sees without a cover.
"""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F

from detail_embed.cover import CompleteCover, gpu_resize

INTERPOLATIONS = ("bicubic", "bilinear")
RESIZE_MODES = ("shortest", "squash", "longest")

# Aspect ratio beyond which the ends of an image, far outside of a centre crop,
# are not resized in vain.
_CROP_ASPECT = 3
_GATHERED = 256  # windows that are copied at once


@dataclasses.dataclass(frozen=True)
class PatchSpec:
    """What a backbone wants its patches to be, in open_clip's terms.

    Args:
        size: side of a patch in pixels
        interpolation ("bicubic"): "bicubic" or "bilinear", antialiased
        resize_mode ("shortest"): how a whole image becomes a square: "shortest"
            (centre crop), "squash" (stretch) or "longest" (black margins)

    Raises:
        ValueError: if a value is none of the above
    """

    size: int
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size!r}: give a positive number of pixels")
        for name, known in (
            ("interpolation", INTERPOLATIONS),
            ("resize_mode", RESIZE_MODES),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: give one of {', '.join(known)}"
                )


def relative_boxes(boxes: np.ndarray) -> torch.Tensor:
    """``(p, 4)`` boxes in pixels, the first the whole image, as fractions of it."""
    boxes = torch.as_tensor(boxes).float()
    return boxes / boxes[0, 2:].repeat(2)


def extract_patches(
    image: torch.Tensor, cover: CompleteCover, spec: PatchSpec
) -> torch.Tensor:
    """Cuts the windows of a cover from an image.

    A level is resized so that its windows become ``spec.size`` pixels on a side;
    windows start at the nearest whole pixel of the resized level, half a pixel
    off at most. As windows tile the image, a resized level takes hardly more
    memory than its own patches: with ``windows.MAX_WINDOWS``, memory is bounded
    whatever the image's size and aspect ratio.

    Args:
        image: ``(3, H, W)`` uint8 RGB; a permuted ``(H, W, 3)`` array is best
        cover: which windows
        spec: what the backbone wants

    Returns:
        ``(p, 3, size, size)`` uint8, on the image's device, in the order of
        ``cover.boxes(W, H)``; patch 0 is the whole image

    Raises:
        ValueError: if the image has another shape or type
    """
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8:
        raise ValueError(
            f"image is {tuple(image.shape)} of {image.dtype}: give (3, H, W) uint8"
        )
    _, height, width = image.shape
    boxes, levels = cover.boxes(width, height), cover.levels(width, height)
    if image.device.type == "cpu":
        # interleaved colours are resized 2 to 4 times as fast as planes
        source = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    else:
        source = image.to(gpu_resize.DTYPE).contiguous()
    patches = image.new_empty((len(boxes), 3, spec.size, spec.size))
    patches[0] = whole_image(source, spec)
    for level in np.unique(levels[1:]):
        rows = 1 + np.flatnonzero(levels[1:] == level)
        first, last = rows[0], rows[-1] + 1
        _cut(source, boxes[first:last], spec, out=patches[first:last])
    return patches


def extract_windows(
    image: torch.Tensor, windows: np.ndarray, spec: PatchSpec
) -> torch.Tensor:
    """Cuts single windows from an image, such as those of known boxes.

    Args:
        image: ``(3, H, W)`` uint8 RGB
        windows: ``(n, 4)`` ``x0, y0, x1, y1`` in pixels, inside the image; one that is
            no square gets black margins
        spec: what the backbone wants

    Returns:
        ``(n, 3, size, size)`` uint8, on the image's device
    """
    patches = image.new_empty((len(windows), 3, spec.size, spec.size))
    for row, (x0, y0, x1, y1) in enumerate(windows.tolist()):
        window = image[:, y0:y1, x0:x1]
        if window.device.type != "cpu":
            window = window.to(gpu_resize.DTYPE).contiguous()
        patches[row] = _fit_inside(window, spec)
    return patches


def whole_image(image: torch.Tensor, spec: PatchSpec) -> torch.Tensor:
    """Makes a square of an image as open_clip's preprocessing does.

    Args:
        image: ``(3, H, W)``, uint8 on the CPU or float of 0 to 255
        spec: size, interpolation and resize mode

    Returns:
        ``(3, size, size)`` uint8; for "shortest" and an aspect ratio above 3
        up to a pixel off open_clip's centre
    """
    size = spec.size
    if spec.resize_mode == "squash":
        return _resize(image, size, size, spec)
    if spec.resize_mode == "longest":
        return _fit_inside(image, spec)
    image = _cut_ends(image)
    _, height, width = image.shape
    short = min(height, width)
    resized = _resize(image, size * height // short, size * width // short, spec)
    top, left = (round((side - size) / 2) for side in resized.shape[1:])
    return resized[:, top : top + size, left : left + size]


def resized(
    image: torch.Tensor, height: int, width: int, spec: PatchSpec
) -> torch.Tensor:
    """Brings a whole image to other sides, whatever its shape.

    Args:
        image: ``(3, H, W)`` uint8 RGB, on any device
        height: of the result
        width: likewise
        spec: says how pixels are interpolated

    Returns:
        ``(3, height, width)`` uint8, on the image's device
    """
    if image.device.type != "cpu":
        image = image.to(gpu_resize.DTYPE).contiguous()
    return _resize(image, height, width, spec)


def _fit_inside(image: torch.Tensor, spec: PatchSpec) -> torch.Tensor:
    size, ratio = spec.size, max(image.shape[1:]) / spec.size
    height, width = (max(1, round(side / ratio)) for side in image.shape[1:])
    x, y = size - width, size - height
    margins = (x // 2, x - x // 2, y // 2, y - y // 2)
    return F.pad(_resize(image, height, width, spec), margins)


def _cut_ends(image: torch.Tensor) -> torch.Tensor:
    """Shortens a long image about its centre to an aspect ratio near 3."""
    _, height, width = image.shape
    most = _CROP_ASPECT * min(height, width)
    top, left = (max(0, side - most) // 2 for side in (height, width))
    return image[:, top : height - top, left : width - left]


def _cut(
    image: torch.Tensor, boxes: np.ndarray, spec: PatchSpec, out: torch.Tensor
) -> None:
    """Writes the windows of one level, ``(n, 4)`` boxes, to ``out``."""
    size = spec.size
    image_size = np.array([image.shape[2], image.shape[1]])
    window = (boxes[:, 2:] - boxes[:, :2]).max(axis=0)
    level_size = np.rint(image_size * size / window).astype(int)
    starts = np.rint(boxes[:, :2] * level_size / image_size).astype(int)
    starts = np.minimum(starts, level_size - size)
    width, height = level_size.tolist()
    level = _resize(image, height, width, spec)
    if level.device.type == "cpu":  # which copies rows
        slices = [level[:, y : y + size, x : x + size] for x, y in starts.tolist()]
        torch.stack(slices, out=out)
        return
    for first in range(0, len(starts), _GATHERED):
        part = slice(first, first + _GATHERED)
        out[part] = _gather(level, starts[part], size)


def _gather(level: torch.Tensor, starts: np.ndarray, size: int) -> torch.Tensor:
    """``(n, 3, size, size)`` windows at ``(n, 2)`` places, in one step of a GPU."""
    side = torch.arange(size, device=level.device)
    x, y = torch.from_numpy(starts.T.copy()).to(level.device, non_blocking=True)
    rows, columns = y[:, None] + side, x[:, None] + side
    colours = torch.arange(3, device=level.device)[:, None, None]
    return level[colours, rows[:, None, :, None], columns[:, None, None, :]]


def _resize(
    image: torch.Tensor, height: int, width: int, spec: PatchSpec
) -> torch.Tensor:
    """Resizes ``(3, H, W)`` uint8, or float of 0 to 255, with antialias to uint8."""
    if image.shape[1:] == (height, width):
        return _rounded(image)
    if image.dtype == torch.uint8:
        return _resize_bytes(image, height, width, spec.interpolation)
    if gpu_resize.fits(image, height, width, spec.interpolation):
        return _rounded(gpu_resize.resize(image, height, width, spec.interpolation))
    return _resize(_rounded(image).cpu(), height, width, spec).to(image.device)


def _resize_bytes(
    image: torch.Tensor, height: int, width: int, interpolation: str
) -> torch.Tensor:
    """Resizes uint8, which torch can on the CPU only."""
    old_height, old_width = image.shape[1:]
    # torch resizes along x first: a tall image that gets wide would explode
    if old_height * width > 2 * max(old_height * old_width, height * width):
        return _resize_bytes(image.mT, width, height, interpolation).mT
    return F.interpolate(
        image[None], (height, width), mode=interpolation, antialias=True
    )[0]


def _rounded(image: torch.Tensor) -> torch.Tensor:
    if image.dtype == torch.uint8:
        return image
    return image.round().clamp(0, 255).to(torch.uint8)


def relative(boxes: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Some of an image's boxes as left, top, width and height, shares of the image.

    Args:
        boxes: ``(p, 4)`` ``x0, y0, x1, y1`` in pixels, row 0 the whole image
        patches: ``(m,)`` rows

    Returns:
        ``(m, 4)`` float64
    """
    low, high = boxes[patches, :2], boxes[patches, 2:]
    return np.concatenate([low, high - low], axis=1) / np.tile(boxes[0, 2:], 2)
