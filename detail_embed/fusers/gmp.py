"""Generalized Max Pooling of whitened patches: rare things weigh as frequent ones."""

from __future__ import annotations

import logging

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.fusers.base import Fused, Fuser
from detail_embed.fusers.checks import check_number, check_rows
from detail_embed.fusers.registry import register
from detail_embed.fusers.sample import FitSample
from detail_embed.fusers.whitening import fit_whitening

logger = logging.getLogger(__name__)


@register
class GeneralizedMaxPooling(Fuser):
    """Weighs patches so that every one matches the pooled vector alike.

    Whitening ``W = (C + eps l I)^-1/2``, with mean ``m``, covariance ``C`` and its
    largest eigenvalue ``l``, comes from a sample of patches. For an image with patches
    ``v_p``::

        u_p = unit(W (v_p - m))        U = rows u_p
        a   = (U U^T + lam I)^-1 1     the patch weights
        f   = unit(W^T sum_p a_p u_p)

    ``sum_p a_p u_p`` minimises ``|U x - 1|^2 + lam |x|^2``: twenty near-equal patches
    of background pull it no further than the one patch that shows something else.
    ``W^T`` brings it back to the space of the texts: ``t . W^T x = (W t) . x``.

    Source: Murray & Perronnin, "Generalized Max Pooling", CVPR 2014, in the primal form
    with whitened descriptors.

    Args:
        dim: d, the dimension of the features
        eps (0.01): floor of the covariance's spectrum, as a share of its largest
            eigenvalue, > 0
        lam (1.0): pull of the weights towards equal ones, > 0
    """

    name = "gmp"
    description = "rare details count as much as frequent ones"

    def __init__(self, dim: int, eps: float = 0.01, lam: float = 1.0) -> None:
        eps, lam = check_number("eps", eps, above=0), check_number("lam", lam, above=0)
        super().__init__(dim, eps=eps, lam=lam)
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("whitening", torch.empty(0))

    def _fit(self, sample: FitSample) -> None:
        """Estimates the whitening from ``patch_features``; the rest is not used.

        Fewer features than dimensions are taken, with a warning; of a single one,
        nothing is whitened.
        """
        rows = check_rows(sample.patch_features, self.dim, "patch_features")
        if len(rows) == 1:
            logger.warning(
                "gmp: one patch feature has no spread, so nothing is whitened; fit "
                "again once there are more images"
            )
            self.mean = rows.new_zeros(self.dim).float()
            self.whitening = torch.eye(self.dim, device=rows.device)
            return
        if len(rows) < self.dim:
            logger.warning(
                "gmp: whitening %d dimensions from only %d patch features",
                self.dim,
                len(rows),
            )
        self.mean, self.whitening = fit_whitening(rows, self.options["eps"])

    def patch_weights(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """The weights ``a`` of the formula; see :meth:`Fuser.patch_weights`."""
        features, mask = self._ready(features, mask)
        return self._weights(self._whiten(features, mask), mask)

    def _fuse(self, features: Tensor, mask: Tensor, boxes: Tensor | None) -> Fused:
        whitened = self._whiten(features, mask)
        weights = self._weights(whitened, mask)
        pooled = (weights[:, None] @ whitened).squeeze(1) @ self.whitening
        return Fused(pooled[:, None])

    def _whiten(self, features: Tensor, mask: Tensor) -> Tensor:
        whitened = F.normalize((features - self.mean) @ self.whitening, dim=-1)
        return whitened * mask[..., None]

    def _weights(self, whitened: Tensor, mask: Tensor) -> Tensor:
        """Solves ``(U U^T + lam I) a = 1``; a masked row is all zero, its weight 0."""
        gram = whitened @ whitened.mT
        gram.diagonal(dim1=1, dim2=2).add_(self.options["lam"])
        factor, info = torch.linalg.cholesky_ex(gram)
        if info.any():
            raise ValueError(
                f"gmp: lam={self.options['lam']} is too small for float32; raise it"
            )
        return torch.cholesky_solve(mask.float()[..., None], factor).squeeze(-1)
