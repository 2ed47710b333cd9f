"""CLIPSelf (arXiv 2310.01403) on a user's images: a tower's map learns from its crops.

The last layer and the attention pool are trained so that what one pass says of a window
is what the tower says of the window's crop. The rest of the tower, and the text tower,
stay as they are; no labels and no texts are used.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from detail_embed.backbone import Backbone, dense
from detail_embed.backbone.preprocessing import normalise
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import resized
from detail_embed.storage.whole_files import whole_file

logger = logging.getLogger(__name__)

_RATE, _BATCH, _TRAINED = 3e-4, 4, ("layer4", "attnpool")


def distil(
    kept: Path, backbone: Backbone, images: Sequence[Tensor], targets: Tensor,
    cover: CompleteCover, epochs: int,
) -> Backbone:
    """Trains a copy of a backbone, or takes the weights that a run before kept.

    Args:
        kept: file of the trained weights
        backbone: of a ModifiedResNet
        images: ``(3, s, s)`` uint8, of one size
        targets: ``(n, p, d)`` unit features of the crops of their windows
        cover: the windows
        epochs: how often each image is seen

    Returns:
        the copy
    """
    dense.check(backbone)
    own = copy.copy(backbone)
    own._model = copy.deepcopy(backbone._model)
    tower = own._model.visual
    if kept.is_file():
        tower.load_state_dict(load_file(kept), strict=False)
        return own
    trained = [p for name in _TRAINED for p in getattr(tower, name).parameters()]
    for weight in trained:
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained, lr=_RATE, weight_decay=0.01)
    steps = epochs * (len(images) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps)
    side, size = dense.SCALE * backbone.input_size, images[0].shape[1]
    boxes = cover.boxes(size, size) / size
    pixels = [
        normalise(resized(image, side, side, backbone.patch_spec)[None], 255,
                  backbone._mean, backbone._std, torch.float32)
        for image in images
    ]
    rng, started = np.random.default_rng(0), time.process_time()
    for epoch in range(epochs):
        order, away = rng.permutation(len(images)), []
        for batch in np.split(order[: len(order) // _BATCH * _BATCH],
                              len(order) // _BATCH):
            for i in batch.tolist():
                found = dense.pool(tower, pixels[i], boxes)[1:]
                near = torch.cosine_similarity(found, targets[i, 1:], dim=1).mean()
                ((1 - near) / _BATCH).backward()
                away.append(1 - float(near))
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
        logger.info("epoch %d: cosine %.3f, %.0f s of the processor", epoch + 1,
                    1 - np.mean(away), time.process_time() - started)
    tower.requires_grad_(False)
    weights = {n: p.contiguous() for n, p in tower.state_dict().items()
               if n.startswith(_TRAINED)}
    with whole_file(kept) as path:
        save_file(weights, path)
    return own
