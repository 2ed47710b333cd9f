"""The mean of all patches: the baseline that every other fuser must beat."""

from __future__ import annotations

from torch import Tensor

from detail_embed.fusers.base import Fused, Fuser
from detail_embed.fusers.registry import register


@register
class Mean(Fuser):
    """Averages the patch features.

    Args:
        dim: d, the dimension of the features
    """

    name = "mean"
    description = "the plain average, a baseline"

    def __init__(self, dim: int) -> None:
        super().__init__(dim)

    def patch_weights(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Every valid patch weighs the same; see :meth:`Fuser.patch_weights`."""
        _, mask = self._ready(features, mask)
        return mask.float() / mask.sum(dim=1, keepdim=True)

    def _fuse(self, features: Tensor, mask: Tensor, boxes: Tensor | None) -> Fused:
        mean = features.sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return Fused(mean[:, None])
