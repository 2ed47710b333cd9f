"""An image's windows by one pass over it, see :mod:`detail_embed.backbone.dense`.

An image that is read by parts has no such pass: its windows are encoded as crops.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from detail_embed.backbone import Backbone, dense
from detail_embed.backbone.memory import is_out_of_memory, no_room
from detail_embed.cover import CompleteCover


def encode_image(
    backbone: Backbone, pixels: np.ndarray, cover: CompleteCover, home: torch.device
) -> Tensor:
    """Encodes the windows of an image.

    Args:
        backbone: the model
        pixels: ``(h, w, 3)`` uint8
        cover: the windows
        home: device of the features

    Returns:
        ``(p, d)`` float32, unit length

    Raises:
        RuntimeError: if the device has not the memory for the picture
    """
    height, width = pixels.shape[:2]
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    try:
        found = dense.encode_windows(backbone, image, cover.boxes(width, height))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        what = "one pass over an image"
        raise no_room(what, backbone.name, backbone.precision, backbone.device) \
            from error
    if found.is_cuda and found.device != home:
        # or the copy, and with it what the caller does there, waits for it
        torch.cuda.current_stream(found.device).synchronize()
    return found.to(home)
