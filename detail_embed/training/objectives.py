"""What a fuser is trained to keep: the scores that texts have for the patches.

Two objectives, neither of which needs a label. With proxies ``t_k``, patches
``v_ip`` of image ``i`` and fused vectors ``f_i``, the teacher is ``S_ik = max_p t_k .
v_ip`` and the student ``Z_ik = t_k . f_i``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from detail_embed.fusers.maxsim import maxsim_batch

_EPS = 1e-6


def proxy_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """The paper's query-proxy loss, ``100 mean_ik (S_ik - Z_ik)^2``.

    Source: DetailCLIP (arXiv 2208.14649), ``TextMatchingLoss`` of the public code.

    Args:
        student: ``(b, K)`` scores of the fused vectors
        teacher: ``(b, K)`` MaxSim scores
    """
    return 100 * (teacher - student).square().mean()


def ranking(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Cross-image ranking distillation: per proxy, KL over the images of a batch.

    ``mean_k w_k KL(softmax_i(z(S)_ik / T) || softmax_i(z(Z)_ik / T))``. A proxy
    counts by how far its best image stands out, ``w_k = relu(max_i z(S)_ik - 1)``: of
    what no image shows there is no ranking to keep.

    Args:
        student: ``(b, K)`` scores of the fused vectors; standardised here, over the
            batch
        teacher: ``(b, K)`` scores, standardised over all training images
        temperature: T, in standard deviations
    """
    spread = student.std(dim=0).clamp(min=_EPS)
    student = (student - student.mean(dim=0)) / spread / temperature
    target = (teacher / temperature).softmax(dim=0)
    divergence = (
        target * ((target + 1e-12).log() - student.log_softmax(dim=0))
    ).sum(dim=0)
    weights = (teacher.amax(dim=0) - 1).relu()
    return (weights * divergence).sum() / weights.sum().clamp(min=_EPS)


class Teacher:
    """The scores to keep, of all training images for all proxies.

    Held in float16: 2 bytes an image and word, twice where the whole image's scores
    are kept, too.

    Args:
        source: images
        rows: which of them
        proxies: ``(K, d)`` unit texts
        batch_size: images at a time
    """

    def __init__(self, source, rows: list[int], proxies: Tensor, batch_size: int):
        best, whole = [], []
        for start in range(0, len(rows), batch_size):
            features, mask, _ = source.batch(rows[start : start + batch_size])
            features, mask = features.to(proxies.device), mask.to(proxies.device)
            best.append(maxsim_batch(proxies, features, mask))
            whole.append(features[:, 0] @ proxies.T)
        self.best, self.whole = torch.cat(best).half(), torch.cat(whole).half()
        self._best_scale = _scale(self.best)
        self._whole_scale = _scale(self.whole)

    def standard_best(self, rows: Tensor) -> Tensor:
        """``(b, K)`` MaxSim scores in standard deviations over the training images."""
        return _standardise(self.best[rows], self._best_scale)

    def standard_whole(self, rows: Tensor) -> Tensor:
        """``(b, K)`` scores of the whole images alone, likewise."""
        return _standardise(self.whole[rows], self._whole_scale)


def _scale(scores: Tensor) -> tuple[Tensor, Tensor]:
    scores = scores.float()
    return scores.mean(dim=0), scores.std(dim=0).clamp(min=_EPS)


def _standardise(scores: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
    return (scores.float() - scale[0]) / scale[1]
