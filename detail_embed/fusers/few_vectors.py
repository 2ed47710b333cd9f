"""A few vectors per image instead of one; the best of them counts in a search."""

from __future__ import annotations

import logging
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.fusers.base import Fused, Fuser
from detail_embed.fusers.checks import check_features, check_number, check_rows
from detail_embed.fusers.maxsim import maxsim_batch
from detail_embed.fusers.registry import register
from detail_embed.fusers.sample import FitSample
from detail_embed.fusers.whitening import fit_whitening
from detail_embed.storage.plain_numbers import is_a

logger = logging.getLogger(__name__)

METHODS = {
    "kmeans": "clusters of patches",
    "facility-location": "the patches that a vocabulary of yours needs",
}
MIN_VECTORS, MAX_VECTORS = 2, 16
_ITERATIONS = 6
_TIE = 1e-4  # cosines and gains as near as this are equal: on any processor
_BUFFERS = {
    "kmeans": ("mean", "whitening"),
    "facility-location": ("proxies", "score_mean", "score_std"),
}


@register
class FewVectors(Fuser):
    """Turns the patch features of an image into ``k`` vectors in the same space.

    ``"kmeans"`` clusters whitened patches ``u_p = unit(W (v_p - m))`` on the sphere,
    ``W = (C + eps l I)^-1/2`` as :class:`.fusers.gmp.GeneralizedMaxPooling` has it.
    The first centre is the whole image, each next one the patch farthest from those
    before; 6 iterations follow. Of a cluster is kept::

        unit(sum_p relu(u_p . centre)^power v_p)

    a mean of plain patch features. It stands for the patch nearest to the centre.

    ``"facility-location"`` picks patches, greedily, that together answer the proxies
    ``t_k``. ``z_kp`` is the score ``t_k . v_p`` in standard deviations from the mean of
    the best patches' scores of many images; patch ``p`` gains ``sum_k relu(z_kp - c)``
    beyond what the patches before it have. Where none gains it is the whole image.

    To either ``w v_0``, a share of the whole image, is added, and the sum brought to
    length 1: without it one thing that fills the image is found less well than by the
    whole image alone, see ``docs/results.md``.

    Equal patches count once: those that :mod:`.cover.flat_windows` gave the feature of
    a larger one would pull centres to it. Where an image has fewer than k different
    patches, vectors are repeated; a search by the best vector does not notice. An image
    to search by is a thing to find among the patches: its vector is that of the whole.

    Args:
        dim: d, the dimension of the features
        k (8): vectors per image, 2 to 16
        method ("kmeans"): or ``"facility-location"``, which needs proxies
        eps (0.02): floor of the covariance's spectrum, as a share of its largest
            eigenvalue, > 0
        power (2.0): how much the patches near a centre count more, >= 0
        threshold (1.5): c, in standard deviations
        global_weight (0.1): ``w``, how much of the whole image's own vector is added,
            >= 0
    """

    name = "few"
    description = "the best of a few vectors counts"
    makes_few = True

    def __init__(
        self,
        dim: int,
        k: int = 8,
        method: Literal["kmeans", "facility-location"] = "kmeans",
        eps: float = 0.02,
        power: float = 2.0,
        threshold: float = 1.5,
        global_weight: float = 0.1,
    ) -> None:
        check_count(k)
        if method not in METHODS:
            raise ValueError(f"method={method!r}: give one of {', '.join(METHODS)}")
        super().__init__(
            dim,
            k=k,
            method=method,
            eps=check_number("eps", eps, above=0),
            power=check_number("power", power, at_least=0),
            threshold=check_number("threshold", threshold),
            global_weight=check_number("global_weight", global_weight, at_least=0),
        )
        for buffer in _BUFFERS[method]:
            self.register_buffer(buffer, torch.empty(0))

    @classmethod
    def needs_words(cls, **options: Any) -> bool:
        """``"facility-location"`` is fitted on what shall be found."""
        return options.get("method") == "facility-location"

    @property
    def k(self) -> int:
        """Vectors per image."""
        return self.options["k"]

    def _fit(self, sample: FitSample) -> None:
        """Fits the whitening or the scores' statistics.

        ``"kmeans"`` needs ``patch_features``, ``"facility-location"`` needs
        ``proxies`` and at least 2 ``images``.
        """
        if self.options["method"] == "kmeans":
            rows = check_rows(sample.patch_features, self.dim, "patch_features", 2)
            if len(rows) < self.dim:
                logger.warning(
                    "few vectors: whitening %d dimensions from only %d patch features",
                    self.dim, len(rows),
                )
            self.mean, self.whitening = fit_whitening(rows, self.options["eps"])
            return
        self.proxies = check_rows(sample.proxies, self.dim, "proxies").float()
        if sample.images is None or len(sample.images) < 2:
            raise ValueError(f"fit() needs at least 2 images, (b, p, {self.dim})")
        images, mask = check_features(sample.images, sample.mask, self.dim)
        self.proxies = self.proxies.to(images.device)
        best = maxsim_batch(self.proxies, images, mask)
        self.score_mean = best.mean(dim=0)
        self.score_std = best.std(dim=0).clamp(min=1e-6)

    def fuse_query(
        self,
        features: Tensor,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> Tensor:
        """The whole image, ``(b, d)``: what comes nearest to a patch."""
        return features[:, 0]

    def _fuse(self, features: Tensor, mask: Tensor, boxes: Tensor | None) -> Fused:
        mask = mask & _first_of_equals(features)
        if self.options["method"] == "kmeans":
            vectors, chosen = self._cluster(features, mask)
        else:
            chosen = torch.stack([
                self._select(rows, valid) for rows, valid in zip(features, mask)
            ])
            vectors = F.normalize(_rows(features, chosen), dim=-1)
        whole = self.options["global_weight"] * features[:, :1]
        return Fused(vectors + whole, chosen)

    def _cluster(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        whitened = F.normalize((features - self.mean) @ self.whitening, dim=-1)
        whitened = whitened * mask[..., None]
        centres = self._farthest(whitened, mask)
        for _ in range(_ITERATIONS):
            sums = _members(whitened @ centres.mT, mask).mT @ whitened
            moved = sums.norm(dim=-1, keepdim=True) > 0
            centres = torch.where(moved, F.normalize(sums, dim=-1), centres)
        near = whitened @ centres.mT
        members = _members(near, mask)
        lost = ~members.any(dim=1, keepdim=True) & mask[..., None]
        allowed = members.bool() | lost  # an empty cluster may take any patch
        chosen = _first_best(near.masked_fill(~allowed, -torch.inf), dim=1)
        weights = members * near.clamp(min=0) ** self.options["power"]
        alone = F.one_hot(chosen, near.shape[1]).mT.to(weights.dtype)
        weights = torch.where(weights.any(dim=1, keepdim=True), weights, alone)
        return F.normalize(weights.mT @ features, dim=-1), chosen

    def _farthest(self, whitened: Tensor, mask: Tensor) -> Tensor:
        """``(b, k, d)`` patches, each the farthest from those before it."""
        centres = [whitened[:, 0]]
        nearest = (whitened @ centres[0][..., None]).squeeze(-1)
        nearest = nearest.masked_fill(~mask, torch.inf)
        while len(centres) < self.k:
            centres.append(_rows(whitened, _first_best(-nearest, dim=1)[:, None])[:, 0])
            near = (whitened @ centres[-1][..., None]).squeeze(-1)
            nearest = torch.maximum(nearest, near)
        return torch.stack(centres, dim=1)

    def _select(self, rows: Tensor, valid: Tensor) -> Tensor:
        """``(k,)`` patches of one image by what they add for the proxies."""
        scores = (rows @ self.proxies.T - self.score_mean) / self.score_std
        worth = (scores - self.options["threshold"]).clamp(min=0) * valid[:, None]
        covered = torch.zeros_like(self.score_mean)
        chosen = []
        for _ in range(self.k):
            more = worth - covered
            gains = more.where(more > _TIE, 0).sum(dim=1)
            chosen.append(_first_best(gains, dim=0))
            covered = torch.maximum(covered, worth[chosen[-1]])
        return torch.stack(chosen)


def check_count(k: object) -> None:
    """Checks a number of vectors per image.

    Raises:
        ValueError: if it is not a whole number from 2 to 16
    """
    is_count = is_a(int, k)
    if not (is_count and MIN_VECTORS <= k <= MAX_VECTORS):
        raise ValueError(
            f"{k!r} vectors per image: give {MIN_VECTORS} to {MAX_VECTORS}"
        )


def _first_of_equals(features: Tensor) -> Tensor:
    """``(b, p)`` bool: rows that no earlier row of an image equals, bit by bit."""
    random = torch.Generator().manual_seed(0)
    odd = torch.randint(-(2**62), 2**62, features.shape[-1:], generator=random) * 2 + 1
    bits = features.float().contiguous().view(torch.int32).long()
    keys, order = (bits * odd.to(bits.device)).sum(dim=-1).sort(dim=1, stable=True)
    is_first = torch.ones_like(keys, dtype=torch.bool)
    is_first[:, 1:] = keys[:, 1:] != keys[:, :-1]
    return torch.empty_like(is_first).scatter_(1, order, is_first)


def _members(near: Tensor, mask: Tensor) -> Tensor:
    """``(b, p, k)`` float: 1 where a valid patch is nearest to a centre."""
    members = F.one_hot(_first_best(near, dim=2), near.shape[2])
    return (members * mask[..., None]).to(near.dtype)


def _first_best(values: Tensor, dim: int) -> Tensor:
    """Where the first of the greatest is; what is nearly as great is among them."""
    best = values.amax(dim=dim, keepdim=True)
    return (values >= best - _TIE).to(torch.uint8).argmax(dim=dim)


def _rows(features: Tensor, chosen: Tensor) -> Tensor:
    """``(b, k, d)``: row ``chosen[i, j]`` of each image."""
    return features.gather(1, chosen[..., None].expand(-1, -1, features.shape[2]))
