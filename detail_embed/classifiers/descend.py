"""Minimises a smooth loss over a few tensors, the same way each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_STEPS = 60
_ENOUGH = 1e-3  # a change of the loss, in nats over all examples, that is none


def descend(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> None:
    """Changes parameters in place until a loss no longer falls, or 60 steps were done.

    Args:
        loss: of the parameters as they are
        parameters: that require gradients
    """
    search = torch.optim.LBFGS(
        parameters, max_iter=_STEPS, tolerance_change=_ENOUGH, history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        search.zero_grad()
        value = loss()
        value.backward()
        return value

    search.step(closure)


def total_loss(logits: Tensor, targets: Tensor, several: bool) -> Tensor:
    """The log loss of ``(n, K)`` logits, summed over the examples."""
    wanted = targets.to(logits.dtype)
    if several:
        return F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    return -(F.log_softmax(logits, dim=1) * wanted).sum()
