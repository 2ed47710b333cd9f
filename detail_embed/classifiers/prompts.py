"""Each class by its captions, weighed: cosine to their weighted sum ("PRO")."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detail_embed.classifiers.bags import Bags, first_vectors
from detail_embed.classifiers.descend import descend, total_loss
from detail_embed.classifiers.kind import Choice, Kind
from detail_embed.classifiers.registry import register

SCALE = 100.0  # 1 / temperature, where CLIP's training stops it


@register
class Prompts(Kind):
    """Learns how much each caption of a class counts, and the temperature.

    A class is as many numbers as it has captions, so that a few examples do; without
    any, all captions count alike, which is CLIP's zero-shot ensemble.
    """

    name = "prompts"
    description = "Class names in many sentences; learns which sentences count"
    needs_captions = True
    choices = tuple(Choice(pull, by_names=True) for pull in (10.0, 1.0, 0.1, 0.01))
    default = choices[0]

    def solve(
        self,
        bags: Bags,
        targets: np.ndarray,
        several: bool,
        captions: Tensor,
        choice: Choice,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Learns the weights of the captions; see :meth:`Kind.solve`."""
        vectors, captions = first_vectors(bags).double(), captions.double()
        wanted = torch.from_numpy(targets)
        shares = torch.zeros(captions.shape[:2], dtype=torch.double, requires_grad=True)
        scale = torch.tensor(math.log(SCALE), dtype=torch.double, requires_grad=True)
        bias = torch.zeros(len(captions), dtype=torch.double, requires_grad=several)

        def loss() -> Tensor:
            logits = scale.exp() * vectors @ _sums(captions, shares).T + bias
            pull = choice.strength * shares.square().mean(dim=1).sum()
            return total_loss(logits, wanted, several) + pull

        if several:
            cosines = vectors @ ensemble(captions).T
            bias.data = -SCALE * cosines.mean(dim=0)
        descend(loss, [shares, scale, *([bias] if several else [])])
        with torch.no_grad():
            return (scale.exp() * _sums(captions, shares)).numpy(), bias.numpy()


def ensemble(captions: Tensor) -> Tensor:
    """One vector of each class, of which all captions count alike, ``(K, d)``."""
    return F.normalize(captions.mean(dim=1), dim=1)


def _sums(captions: Tensor, shares: Tensor) -> Tensor:
    """The weighted sums of captions, of unit length, ``(K, d)``."""
    return F.normalize(((1 + shares)[..., None] * captions).sum(dim=1), dim=1)
