"""Weights on patches by what they show and where, beside the best closed form."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detail_embed.fusers.base import Fused
from detail_embed.fusers.checks import check_number, fit_device
from detail_embed.fusers.registry import register
from detail_embed.fusers.ridge import Ridge
from detail_embed.fusers.sample import FitSample
from detail_embed.fusers.trained import TrainedFuser
from detail_embed.fusers.whitening import fit_whitening

logger = logging.getLogger(__name__)

_LAM = 1e-3
_PLACE = 10  # numbers that describe where a patch lies


@register
class Attention(TrainedFuser):
    """A learned weighted sum of patches on top of the closed form.

    With whitened patches ``u_p = W (v_p - m)``, their places ``b_p`` (centre and side,
    as fractions) and the closed form ``r`` of :class:`Ridge`::

        x_p = block(gelu(A u_p + B place(b_p) + C u_0))
        a   = mean over heads of softmax_p(G x_p)               the patch weights
        f   = unit(r + H sum_p a_p (D u_p + E x_p))

    ``H`` is proportional to ``(T^T T + lam m I)^-1/2`` of the proxies ``T``, ``m`` the
    mean eigenvalue: texts differ least where features vary most, and without ``H`` the
    first steps would drown the closed form there. ``D`` and ``E`` start at zero: before
    the first step ``f`` is the closed form, so that training can only depart from it
    where this helps held-out words on held-out images. Without boxes the places count
    as unknown, which training shows it too.

    Args:
        dim: d, the dimension of the features
        hidden (256): width of the block
        heads (4): softmaxes over the patches, averaged
    """

    name = "attention"
    description = "learned weights of patches, trained on your images and a vocabulary"
    uses_boxes = True

    def __init__(self, dim: int, hidden: int = 256, heads: int = 4) -> None:
        for option, value in (("hidden", hidden), ("heads", heads)):
            check_number(option, value, at_least=1)
        super().__init__(dim, hidden=hidden, heads=heads)
        self.base = Ridge(dim)
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("whitening", torch.empty(0))
        self.register_buffer("text_whitening", torch.empty(0))
        self.patch = nn.Linear(dim, hidden)
        self.place = nn.Linear(_PLACE, hidden, bias=False)
        self.whole = nn.Linear(dim, hidden, bias=False)
        self.block = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.gate = nn.Linear(hidden, heads)
        self.direct = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(hidden, dim)
        for layer in (self.direct, self.value):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.value.bias)

    def prepare(self, images: Tensor, mask: Tensor, proxies: Tensor) -> None:
        """Fits the closed form and the whitening; see :meth:`TrainedFuser.prepare`."""
        home = images.device
        images, mask, proxies = (
            part.to(fit_device(home)) for part in (images, mask, proxies)
        )
        self.base.fit(FitSample(None, proxies, images, mask))
        rows = images[mask]
        self.mean, whitening = fit_whitening(rows.double(), eps=0.02)
        spread = ((rows - self.mean) @ whitening).square().mean().sqrt()
        self.whitening = whitening / spread
        texts = proxies.double()
        self.text_whitening = _inverse_root(texts.T @ texts).float()
        self.to(home)

    def patch_weights(
        self,
        features: Tensor,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> Tensor:
        """The weights ``a`` of the formula; see :meth:`Fuser.patch_weights`."""
        features, mask = self._ready(features, mask)
        return self._weigh(features, mask, boxes)[0]

    def _fuse(self, features: Tensor, mask: Tensor, boxes: Tensor | None) -> Fused:
        weights, whitened, hidden = self._weigh(features, mask, boxes)
        values = self.direct(whitened) + self.value(hidden)
        learned = (weights[:, None] @ values).squeeze(1)
        fused = self.base(features, mask) + learned @ self.text_whitening
        return Fused(fused[:, None])

    def _weigh(
        self, features: Tensor, mask: Tensor, boxes: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Patch weights ``(b, p)``, whitened patches and their hidden state."""
        whitened = (features - self.mean) @ self.whitening * mask[..., None]
        hidden = self.patch(whitened) + self.whole(whitened[:, :1])
        if boxes is not None:
            hidden = hidden + self.place(_describe(boxes))
        hidden = F.gelu(hidden)
        hidden = hidden + self.block(hidden)
        logits = self.gate(hidden).masked_fill(~mask[..., None], -torch.inf)
        return logits.softmax(dim=1).mean(dim=2), whitened, hidden


def _inverse_root(gram: Tensor) -> Tensor:
    """``(G + lam m I)^-1/2``, of Frobenius norm ``sqrt(d) / 4``."""
    values, vectors = torch.linalg.eigh(gram)
    root = vectors * (values.clamp(min=0) + _LAM * values.mean()).rsqrt() @ vectors.T
    return root / root.norm() * len(gram) ** 0.5 / 4


def _describe(boxes: Tensor) -> Tensor:
    """``(b, p, 4)`` boxes as centre, side and log side, with sines and cosines."""
    low, high = boxes[..., :2], boxes[..., 2:]
    side = (high - low).prod(dim=-1, keepdim=True).clamp(min=1e-6).sqrt()
    place = torch.cat([(low + high) / 2, side], dim=-1)
    angle = 2 * math.pi * place
    return torch.cat([place, side.log(), angle.sin(), angle.cos()], dim=-1)
