"""The paper's fuser: a transformer that asks all patches with the whole image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detail_embed.fusers.base import Fused
from detail_embed.fusers.registry import register
from detail_embed.fusers.trained import TrainedFuser

SIZES = {"tiny": (3, 2), "small": (6, 4), "base": (12, 8)}


@register
class Transformer(TrainedFuser):
    """Encoder over the patch features, decoder with the whole image as its one query.

    No position, no projection and no residual, as in the authors' code: the encoder
    takes all patch features ``(b, p, d)`` (row 0, the whole image, included), the
    decoder the whole image's ``(b, 1, d)``; feed-forward layers of 2048, GELU, dropout
    0.1. The result does not depend on the order of the patches.

    Source: DetailCLIP (arXiv 2208.14649), the fusing model of the public code; there,
    ``"small"`` is the one that is profiled.

    Args:
        dim: d, the dimension of the features
        size ("tiny"): layers of encoder and of decoder, and heads: ``"tiny"`` 3 and 2,
            ``"small"`` 6 and 4, ``"base"`` 12 and 8

    Raises:
        ValueError: if there is no such size, or the heads do not divide ``dim``
    """

    name = "transformer"
    description = "the paper's network, trained on your images and a vocabulary"

    def __init__(self, dim: int, size: str = "tiny") -> None:
        if size not in SIZES:
            raise ValueError(f"size must be one of {list(SIZES)}, not {size!r}")
        super().__init__(dim, size=size)
        layers, heads = SIZES[size]
        if dim % heads:
            raise ValueError(f"dim={dim} cannot be shared by the {heads} heads")
        self.transformer = nn.Transformer(
            dim,
            heads,
            num_encoder_layers=layers,
            num_decoder_layers=layers,
            activation="gelu",
            batch_first=True,
        )
        self.transformer.encoder.use_nested_tensor = False

    def _fuse(self, features: Tensor, mask: Tensor, boxes: Tensor | None) -> Fused:
        absent = torch.zeros_like(mask, dtype=features.dtype)
        absent = absent.masked_fill(~mask, -torch.inf)
        answer = self.transformer(
            features,
            features[:, :1],
            src_key_padding_mask=absent,
            memory_key_padding_mask=absent,
        )
        return Fused(answer)
