"""Batches that fit into the device's memory: too large a one is halved."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from .backbone import Backbone
from .cover import CompleteCover
from .patches import extract_patches

logger = logging.getLogger(__name__)


def encode_fitting(backbone: Backbone, patches: Tensor) -> Tensor:
    """Encodes patches at once, or in as large parts as the device has memory for.

    The size that was found is kept in ``backbone.fitting_size``, so it is found once.

    Args:
        backbone: the model
        patches: ``(n, 3, h, w)`` as of :meth:`Backbone.encode_patches`

    Returns:
        ``(n, d)`` float32, unit length, on the backbone's device

    Raises:
        RuntimeError: if not even one patch fits
    """
    size = min(len(patches), backbone.fitting_size or len(patches))
    while True:
        try:
            features = backbone.encode_patches(patches, batch_size=size)
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise RuntimeError(_nothing_fits(backbone)) from error
        else:
            return features
        # here, the error and what it kept in memory are gone
        _release(backbone.device)
        size = -(-size // 2)
        known = backbone.fitting_size
        if known is None or size < known:  # no other thread found less
            backbone.fitting_size = size
            logger.warning(
                "%s is out of memory: %s now encodes %d patches at a time",
                backbone.device, backbone.name, size,
            )


def extract_fitting(
    image: Tensor, cover: CompleteCover, backbone: Backbone
) -> Tensor:
    """Cuts patches on the backbone's device, or on the CPU if it lacks the memory.

    Args:
        image: ``(3, H, W)`` uint8 RGB on the CPU
        cover: which windows
        backbone: whose device and patches

    Returns:
        ``(p, 3, size, size)`` uint8 as of :func:`.patches.extract_patches`, on the
        backbone's device
    """
    try:
        there = image.to(backbone.device, non_blocking=True)
        return extract_patches(there, cover, backbone.patch_spec)
    except torch.OutOfMemoryError:
        logger.debug("Cut an image of %s on the CPU", tuple(image.shape))
    _release(backbone.device)
    return extract_patches(image, cover, backbone.patch_spec).to(backbone.device)


def _release(device: torch.device) -> None:
    """Gives memory that torch holds, but does not use, back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _nothing_fits(backbone: Backbone) -> str:
    side = backbone.input_size
    return (
        f"not even one patch of {side} x {side} pixels fits into the memory of "
        f"{backbone.device} with {backbone.name} in {backbone.precision}: end what "
        "else uses that memory, choose a smaller backbone, or device='cpu'"
    )
