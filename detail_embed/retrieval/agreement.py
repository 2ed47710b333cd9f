"""How much of a teacher's ranking is kept, without labels."""

from __future__ import annotations

import torch
from torch import Tensor

from .metrics import average_precision

_TOP = 10
_STANDS_OUT = 3.5


def agreement(student: Tensor, teacher: Tensor) -> float:
    """Mean average precision, with the teacher's first images as the relevant ones.

    Relevant are the images that stand out for a word by 3.5 standard deviations, 10 at
    most and 1 at least. Words count where the best image stands out so far; all words
    do, if none has such an image.

    Args:
        student: ``(n, K)`` scores
        teacher: ``(n, K)`` scores

    Returns:
        0 to 1
    """
    spread = teacher.std(dim=0).clamp(min=1e-6)
    standard = (teacher - teacher.mean(dim=0)) / spread
    top = min(_TOP, max(1, len(teacher) // 10))
    last = standard.topk(top, dim=0).values[-1]
    threshold = torch.clamp(last, min=_STANDS_OUT)
    best = standard.amax(dim=0)
    stands_out = best >= _STANDS_OUT
    if not stands_out.any():
        stands_out = torch.ones_like(stands_out)
    relevant = standard >= torch.minimum(threshold, best)
    student, relevant = (x[:, stands_out].T.cpu().numpy() for x in (student, relevant))
    return float(average_precision(student, relevant).mean())
