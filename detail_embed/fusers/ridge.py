"""The closed form: the vector whose text scores come nearest to max-over-patches'."""

from __future__ import annotations

import logging
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.evaluation.agreement import agreement
from detail_embed.fusers.base import Fused, Fuser
from detail_embed.fusers.checks import check_features, check_number, check_rows
from detail_embed.fusers.maxsim import maxsim_batch
from detail_embed.fusers.registry import register
from detail_embed.fusers.sample import FitSample

logger = logging.getLogger(__name__)

LAMS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
DEFAULT_LAM = 1e-2
_FOLDS = 4
_RUN = 16  # proxies that are left out together
_MIN_IMAGES = 8


@register
class Ridge(Fuser):
    """Ridge regression of an image's best patch scores on the proxies.

    With proxies ``t_k`` (rows of ``T``), patches ``v_p``, the whole image ``g = v_0``,
    ``s_k = max_p t_k . v_p`` and means over the images of the fit ``<.>``::

        r = w (g - <g>) + (T^T T + lam m I)^-1 T^T (s - <s>),    m = trace(T^T T) / d

    The second term minimises ``|T x - (s - <s>)|^2 + lam m |x|^2``, the loss of
    DetailCLIP (arXiv 2208.14649) with centred targets, which no trained network can
    undercut on its proxies; ``m``, the mean eigenvalue, makes ``lam`` mean the same
    for 50 proxies and for 50,000. Nothing here is trained and no label is used.

    Images are to be ranked by ``t . r``, lengths included: an image with more to say
    has a longer ``r``, and ``cos(t, r)`` ranks worse. What is stored has to survive
    engines that compare by cosine, and FiftyOne's default one, which subtracts the
    mean of all stored vectors first (so that a constant direction added to ``r`` is
    undone). Therefore every vector is brought to one length ``R`` with a component
    that texts do not see::

        f = (r' + sqrt(R^2 - |r'|^2) unit(N N^T (g - <g>))) / R,     r' = r - N N^T r

    ``N`` holds the ``d / 32`` right singular vectors of ``T`` with the least singular
    values (of the uncentred ``T``: their mean is covered, too), ``R`` is the largest
    ``|r'|`` of the fit. Now ``t . f = t . r / R`` as far as ``N^T t = 0``, the mean
    of the ``f`` is near zero, and their lengths are equal with it or without: dot
    product, cosine and centred cosine rank alike. The filling is the image's own, so
    that near-duplicates stay near. An image beyond ``R`` is shortened to it.

    Args:
        dim: d, the dimension of the features
        lam ("auto"): regularisation in mean eigenvalues of ``T^T T``, > 0; by default
            the one of ``LAMS`` that does best on proxies left out, see :meth:`fit`
        global_weight (1.0): ``w``, how much of the whole image's own vector is added,
            >= 0. Less, e.g. 0.1, finds more small things and loses some that fill the
            image, see ``docs/results/single-vector.md``
    """

    name = "ridge"
    description = "keeps the scores of a vocabulary"

    def __init__(
        self,
        dim: int,
        lam: float | Literal["auto"] = "auto",
        global_weight: float = 1.0,
    ) -> None:
        if lam != "auto":
            lam = check_number("lam", lam, above=0)
        weight = check_number("global_weight", global_weight, at_least=0)
        super().__init__(dim, lam=lam, global_weight=weight)
        self.register_buffer("proxies", torch.empty(0))
        self.register_buffer("decoder", torch.empty(0))
        self.register_buffer("score_mean", torch.empty(0))
        self.register_buffer("global_mean", torch.empty(0))
        self.register_buffer("free", torch.empty(0))
        self.register_buffer("radius", torch.empty(0))
        self.register_buffer("lam", torch.empty(0))

    @classmethod
    def needs_words(cls, **options: Any) -> bool:
        """It keeps their scores."""
        return True

    def _fit(self, sample: FitSample) -> None:
        """Solves for ``proxies``, with means from ``images``.

        ``lam="auto"`` is chosen by cross-validation: the proxies are cut into 4 blocks
        of neighbours (so that wordings of one thing, listed together, stay together),
        each is predicted from the others, and what decides is how many of the images
        with the best ``s`` rank first by ``t . r``, see
        :func:`detail_embed.evaluation.agreement`. With fewer than 8 proxies or 8 images
        it is 0.01. ``patch_features`` is not used.

        Raises:
            ValueError: also if the images are all equal
        """
        texts = check_rows(sample.proxies, self.dim, "proxies")
        if sample.images is None:
            raise ValueError(f"ridge: fit() needs images, (b, p, {self.dim}); got None")
        images, mask = check_features(sample.images, sample.mask, self.dim)
        if len(images) < 2:
            raise ValueError(f"images: at least 2 needed, got {len(images)}")
        texts = texts.to(images.device)
        self.proxies = texts.float()
        scores = self._best_scores(images, mask).double()
        whole = images[:, 0].double()
        score_mean, global_mean = scores.mean(dim=0), whole.mean(dim=0)
        scores, whole = scores - score_mean, whole - global_mean

        whole *= self.options["global_weight"]
        lam = self._choose_lam(texts, scores, whole)
        values, vectors = _spectrum(texts)
        decoder = texts @ _inverse(values, vectors, lam)
        free = vectors[:, : max(1, self.dim // 32)]
        visible = whole + scores @ decoder
        radius = (visible - visible @ free @ free.T).norm(dim=1).max()
        if radius <= torch.finfo(torch.float32).eps:
            raise ValueError("images are all equal: nothing to tell them apart by")
        self.decoder = (decoder - decoder @ free @ free.T).float()
        self.score_mean, self.global_mean = score_mean.float(), global_mean.float()
        self.free, self.radius = free.T.float().contiguous(), radius.float()[None]
        self.lam = torch.tensor([lam], device=images.device)
        logger.info("ridge: %d proxies, lam %g", len(texts), lam)

    def _fuse(self, features: Tensor, mask: Tensor, boxes: Tensor | None) -> Fused:
        whole = features[:, 0] - self.global_mean
        hidden = whole @ self.free.T
        scores = self._best_scores(features, mask) - self.score_mean
        seen = self.options["global_weight"] * (whole - hidden @ self.free)
        visible = scores @ self.decoder + seen
        room = (self.radius**2 - visible.square().sum(dim=1, keepdim=True)).clamp(min=0)
        filled = visible + room.sqrt() * (F.normalize(hidden, dim=1) @ self.free)
        return Fused(filled[:, None])

    def _best_scores(self, features: Tensor, mask: Tensor) -> Tensor:
        """``(b, K)`` score of the best valid patch."""
        return maxsim_batch(self.proxies, features, mask)

    def _choose_lam(self, texts: Tensor, scores: Tensor, whole: Tensor) -> float:
        """Picks by agreement on proxies that are left out of the fit."""
        if self.options["lam"] != "auto":
            return self.options["lam"]
        if len(texts) < 2 * _FOLDS or len(scores) < _MIN_IMAGES:
            logger.warning(
                "ridge: lam is %g, for %d proxies and %d images are too few to choose "
                "it by",
                DEFAULT_LAM, len(texts), len(scores),
            )
            return DEFAULT_LAM
        agreement = sum(
            _held_out_agreement(texts, scores, whole, block)
            for block in _folds(len(texts))
        )
        return LAMS[int(agreement.argmax())]


def _folds(count: int) -> list[Tensor]:
    """Numbers of proxies in 4 parts; runs of neighbours stay together."""
    fold = torch.arange(count) // min(_RUN, max(1, count // _FOLDS)) % _FOLDS
    return [(fold == number).nonzero().flatten() for number in range(_FOLDS)]


def _held_out_agreement(
    texts: Tensor,
    scores: Tensor,
    whole: Tensor,
    block: Tensor,
) -> Tensor:
    """How well the others rank images for the proxies of a block, by lam."""
    kept = torch.ones(len(texts), dtype=torch.bool, device=texts.device)
    kept[block.to(texts.device)] = False
    values, vectors = _spectrum(texts[kept])
    targets, left_out = scores[:, ~kept], texts[~kept]
    evidence = scores[:, kept] @ texts[kept]
    plain = whole @ left_out.T
    return torch.tensor(
        [
            agreement(
                plain + evidence @ _inverse(values, vectors, lam) @ left_out.T, targets
            )
            for lam in LAMS
        ]
    )


def _spectrum(texts: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of ``T^T T``, ascending, and eigenvectors, in columns."""
    values, vectors = torch.linalg.eigh(texts.T @ texts)
    return values.clamp(min=0), vectors


def _inverse(values: Tensor, vectors: Tensor, lam: float) -> Tensor:
    """``(T^T T + lam m I)^-1`` with ``m`` the mean eigenvalue."""
    return vectors / (values + lam * values.mean()) @ vectors.T
