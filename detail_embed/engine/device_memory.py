"""Batches that fit into the device's memory: too large a one is halved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from detail_embed.backbone import Backbone
from detail_embed.backbone.memory import is_out_of_memory, no_room, release

logger = logging.getLogger(__name__)

_Cut = TypeVar("_Cut")


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
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                side = backbone.input_size
                raise no_room(
                    f"one patch of {side} x {side} pixels", backbone.name,
                    backbone.precision, backbone.device,
                ) from error
        else:
            return features
        # here, the error and what it kept in memory are gone
        release(backbone.device)
        size = -(-size // 2)
        known = backbone.fitting_size
        if known is None or size < known:  # no other thread found less
            backbone.fitting_size = size
            logger.warning(
                "%s is out of memory: %s now encodes %d patches at a time",
                backbone.device, backbone.name, size,
            )


def cut_fitting(cut: Callable[[torch.device], _Cut], device: torch.device) -> _Cut:
    """Cuts patches on a device, or on the CPU if it lacks the memory.

    Args:
        cut: what cuts, called with a device
        device: the backbone's
    """
    try:
        return cut(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        logger.debug("%s is out of memory: patches are cut on the CPU", device)
    release(device)
    return cut(torch.device("cpu"))


@contextmanager
def released_after(backbone: Backbone) -> Iterator[None]:
    """Gives what a run leaves unused in its devices' memory back when it ends.

    A server that embeds once would else keep gigabytes for itself.
    """
    try:
        yield
    finally:
        release(backbone.device)
