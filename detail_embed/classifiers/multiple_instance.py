"""An image's score is its best patch's: which patch is meant is learned along."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from detail_embed.classifiers.bags import Bags, batches
from detail_embed.classifiers.descend import descend, total_loss
from detail_embed.classifiers.kind import Choice, Kind
from detail_embed.classifiers.prompts import ensemble
from detail_embed.classifiers.registry import register

_ROUNDS = 4
_SCALE = 30.0  # of logits at the start
_FAR = -1e4  # logit of what is no patch
_RIDGE = 0.001  # of the mean variance


@register
class MultipleInstance(Kind):
    """Alternates: finds the best patches of each image, then learns the weights.

    The patches that were the best for some class in any round are kept, and the best
    of these counts while the weights are learned: few are, so that this takes little.
    It starts from the names of the classes, or, where these say nothing, from a linear
    layer by which each patch is of the classes of its image; the pull is towards that.
    Source of the alternation: MI-SVM (Andrews et al., NIPS 2002).
    """

    name = "multiple-instance"
    description = "The best patch of each image counts: for small things"
    needs_patches = True
    choices = (
        *(Choice(pull, by_names=True) for pull in (10.0, 1000.0, 100.0, 1.0, 0.1)),
        *map(Choice, (1.0, 0.1)),
    )  # a pull of 1000 leaves the names as they are
    default = choices[0]
    folds = 3

    def solve(
        self,
        bags: Bags,
        targets: np.ndarray,
        several: bool,
        captions: Tensor | None,
        choice: Choice,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Finds patches and weights by turns; see :meth:`Kind.solve`."""
        by_names = choice.by_names and captions is not None
        start = ensemble(captions) if by_names else _ridge(bags, targets)
        wanted = torch.from_numpy(targets)
        change = torch.zeros_like(start, requires_grad=True)
        scale = torch.tensor(math.log(_SCALE), requires_grad=True)
        bias = torch.zeros(len(start), requires_grad=True)
        chosen: list[set[int]] = [set() for _ in range(len(bags))]
        for number in range(_ROUNDS):
            if not _choose(bags, (start + change).detach(), chosen):
                break
            patches = _gather(bags, chosen)
            if number == 0:
                with torch.no_grad():
                    bias.data = -_SCALE * _best(*patches, start).mean(dim=0)

            def loss(patches: tuple[Tensor, Tensor] = patches) -> Tensor:
                logits = scale.exp() * _best(*patches, start + change) + bias
                pull = choice.strength * change.square().sum()
                return total_loss(logits, wanted, several) + pull

            descend(loss, [change, scale, bias])
        with torch.no_grad():
            return (scale.exp() * (start + change)).numpy(), bias.numpy()


def _choose(bags: Bags, weights: Tensor, chosen: list[set[int]]) -> bool:
    """Adds the best patches of each bag, for any class; tells whether one is new."""
    before, place = sum(map(len, chosen)), 0
    for vectors, mask in batches(bags):
        scores = (vectors @ weights.T).masked_fill(~mask[..., None], _FAR)
        for best in scores.argmax(dim=1).tolist():
            chosen[place].update(best)
            place += 1
    return sum(map(len, chosen)) > before


def _gather(bags: Bags, chosen: list[set[int]]) -> tuple[Tensor, Tensor]:
    """The chosen patches ``(n, u, d)``, and which of them are some ``(n, u)``."""
    most = max(map(len, chosen))
    found = torch.zeros(len(bags), most, bags.dim)
    mask = torch.zeros(len(bags), most, dtype=torch.bool)
    place = 0
    for vectors, _ in batches(bags):
        for one in vectors:
            rows = sorted(chosen[place])
            found[place, : len(rows)], mask[place, : len(rows)] = one[rows], True
            place += 1
    return found, mask


def _best(vectors: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """The scores of the best patches, ``(n, K)``."""
    return (vectors @ weights.T).masked_fill(~mask[..., None], _FAR).amax(dim=1)


def _ridge(bags: Bags, targets: np.ndarray) -> Tensor:
    """A linear layer by which each patch is of the classes of its image, unit rows."""
    dim, count, place = bags.dim, 0, 0
    gram = torch.zeros(dim, dim, dtype=torch.double)
    sums = torch.zeros(targets.shape[1], dim, dtype=torch.double)
    total = torch.zeros(dim, dtype=torch.double)
    wanted = torch.from_numpy(targets).double()
    shares = wanted.mean(dim=0)
    for vectors, mask in batches(bags):
        flat = vectors[mask].double()
        gram += flat.T @ flat
        total += flat.sum(dim=0)
        count += len(flat)
        of_image = vectors.double().sum(dim=1)  # what is no patch is 0
        sums += (wanted[place : place + len(vectors)] - shares).T @ of_image
        place += len(vectors)
    mean = total / count
    gram = gram / count - torch.outer(mean, mean)
    gram += _RIDGE * gram.trace() / dim * torch.eye(dim, dtype=torch.double)
    found = torch.linalg.solve(gram, sums.T).T
    return torch.nn.functional.normalize(found, dim=1).float()
