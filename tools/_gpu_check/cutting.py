"""Cutting: patches of the device against a float64 reference and against the CPU."""

from __future__ import annotations

from unittest import mock

import torch
from torch.nn import functional as F

from detail_embed.cover import CompleteCover, gpu_resize, patches
from detail_embed.cover.patches import PatchSpec, extract_patches

from .report import Report
from .scale import Scale, picture

_MAX, _MEAN = 1, 0.3  # grey levels


def run(report: Report, scale: Scale) -> None:
    """Checks images of all shapes, both interpolations, and both spacings."""
    strips = ((3000, 40), (40, 3000), (1, 1), (97, 61)) if scale.is_gpu else (
        (300, 20), (20, 300), (1, 1), (97, 61))
    side = 224 if scale.is_gpu else 32
    for width, height in (*scale.sizes, *strips):
        with report.guarded(f"cut {width}x{height}"):
            _check(report, scale, width, height, PatchSpec(side), "even")
    width, height = scale.sizes[1]
    with report.guarded("cut bilinear"):
        _check(report, scale, width, height, PatchSpec(side, "bilinear"), "even")
    with report.guarded("cut squash, the authors' spacing"):
        _check(report, scale, width, height, PatchSpec(side, "bicubic", "squash"),
               "authors")
    _check_matrices(report, scale)


def _check(
    report: Report, scale: Scale, width: int, height: int, spec: PatchSpec, spacing: str
) -> None:
    name = f"cut {width}x{height} {spec.interpolation} {spec.resize_mode} {spacing}"
    image = torch.from_numpy(picture(width, height).copy()).permute(2, 0, 1)
    cover = CompleteCover(scale.cover, spacing)
    there = image.to(scale.device)
    found = extract_patches(there, cover, spec)
    report.equal(
        f"{name}, twice the same",
        torch.equal(found, extract_patches(there, cover, spec)), True,
    )
    with mock.patch.object(patches, "_resize", _exact):
        _compare(report, f"{name}, float64", found, extract_patches(image, cover, spec))
    _compare(report, f"{name}, CPU", found, extract_patches(image, cover, spec), 2)


def _check_matrices(report: Report, scale: Scale) -> None:
    """What a GPU resizes by, called by itself: it runs on a CPU too."""
    width, height = scale.sizes[0]
    image = torch.from_numpy(picture(width, height).copy()).permute(2, 0, 1)
    source = image.to(scale.device, gpu_resize.DTYPE)
    for new in ((height // 3, width // 3), (height // 2 + 1, 64), (height + 9, width)):
        name = f"matrices {width}x{height} to {new[1]}x{new[0]}"
        with report.guarded(name):
            spec = PatchSpec(32)
            found = gpu_resize.resize(source, *new, spec.interpolation)
            found = found.round().clamp(0, 255)
            _compare(report, name, found, _exact(image, *new, spec))


def _compare(
    report: Report, name: str, found: torch.Tensor, wanted: torch.Tensor,
    most: int = _MAX,
) -> None:
    error = (found.cpu().double() - wanted.double()).abs()
    report.at_most(f"{name}, most", error.max().item(), most)
    report.at_most(f"{name}, mean", error.mean().item(), _MEAN)


def _exact(
    image: torch.Tensor, height: int, width: int, spec: PatchSpec
) -> torch.Tensor:
    """Resizes in float64; in planes, some versions of torch are wrong."""
    source = image.double()[None].contiguous(memory_format=torch.channels_last)
    resized = F.interpolate(
        source, (height, width), mode=spec.interpolation, antialias=True
    )
    return resized[0].round().clamp(0, 255).to(torch.uint8)
