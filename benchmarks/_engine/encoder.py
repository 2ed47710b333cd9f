"""How fast a backbone encodes patches that lie on its device."""

from __future__ import annotations

import time

import torch

from detail_embed.backbone import Backbone

_BATCHES = {"cpu": (16, 32, 48, 64), "cuda": (256, 512, 1024, 2048)}


def best_rate(backbone: Backbone, patches: torch.Tensor, wanted: int) -> float:
    """Patches per second at the best batch size.

    Args:
        backbone: the model
        patches: ``(n, 3, size, size)`` uint8 on its device, repeated as needed
        wanted: patches of a measurement, at least
    """
    sizes = _BATCHES[backbone.device.type]
    return max(_rate(backbone, patches, wanted, size) for size in sizes)


def synchronise(backbone: Backbone) -> None:
    """Waits for the device."""
    if backbone.device.type == "cuda":
        torch.cuda.synchronize(backbone.device)


def _rate(
    backbone: Backbone, patches: torch.Tensor, wanted: int, size: int
) -> float:
    patches = patches[:size]
    patches = patches.repeat(-(-size // len(patches)), 1, 1, 1)[:size]
    backbone.encode_patches(patches, batch_size=size)
    synchronise(backbone)
    started, done = time.perf_counter(), 0
    while done < wanted:
        backbone.encode_patches(patches, batch_size=size)
        done += size
    synchronise(backbone)
    return done / (time.perf_counter() - started)
