"""Closed forms of one vector per image, and oracles, for ``single_vector.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks._league.data import Scenes
from detail_embed.evaluation import average_precision
from detail_embed.fusers.whitening import fit_whitening

_LAM = 1e-4
_SMALL = 0.08
_BATCH = 20
_PROTOTYPES = 6  # best patches that a word is recognised by


class Measured:
    """Mean average precision of vectors on validation scenes.

    Args:
        scenes: with things of all sizes
        whole: with one large thing each
        held_out: words that nothing is fitted on
    """

    def __init__(self, scenes: Scenes, whole: Scenes, held_out: frozenset[str]):
        self.sets = [_Set(scenes, held_out), _Set(whole, held_out)]

    @property
    def scenes(self) -> _Set:
        """The scenes with things of all sizes."""
        return self.sets[0]

    def cells(self, embed: Callable[[Tensor], Tensor]) -> list[str]:
        """The columns of a table.

        Args:
            embed: ``(b, p, d)`` patch features to ``(b, k, d)`` vectors, of which the
                best counts, or to ``(b, d)``
        """
        first, second = (
            torch.cat([
                _best(part.texts, embed(x).view(len(x), -1, x.shape[2]))[0]
                for x in part.batches()
            ]).T.numpy()
            for part in self.sets
        )
        return [*self.sets[0].cells(first), self.sets[1].cells(second)[1]]

    def oracle(self, texts: Tensor, shown: Tensor) -> list[str]:
        """The columns of sums over what each image shows, without one large thing.

        Args:
            texts: ``(K, d)`` words of the fit
            shown: ``(q, n, d)`` vector of each word in each image
        """
        part = self.scenes
        weights = torch.from_numpy(part.relevant)[..., None].float()
        mean = (weights * shown).sum(dim=(0, 1)) / weights.sum()
        vectors = (weights * (shown - mean)).sum(dim=0) @ inverse(texts)
        return [*part.cells((part.texts @ vectors.T).numpy()), ""]


class _Set:
    def __init__(self, scenes: Scenes, held_out: frozenset[str]):
        queries = scenes.queries
        self.features = torch.cat([features for features, _, _ in scenes.batches()])
        self.texts, self.scale = scenes.texts, queries.target_scale
        self.relevant = self.scale > 0
        things = np.array(queries.banks) == "things"
        tuning = np.array([word in held_out for word in queries.words])
        proxies = np.array(queries.groups) == "proxy"
        self.known, self.held_out = things & proxies & ~tuning, things & tuning

    def batches(self):
        return self.features.split(_BATCH)

    def cells(self, scores: np.ndarray) -> list[str]:
        """In %: known words, held-out words, and these at small sides."""
        values = average_precision(scores, self.relevant)
        small = self.relevant & (self.scale <= _SMALL)
        of_small = average_precision(scores, small, self.relevant & ~small)
        return [
            f"{100 * np.nanmean(v[m]):.1f}" if np.isfinite(v[m]).any() else ""
            for v, m in (
                (values, self.known), (values, self.held_out), (of_small, self.held_out)
            )
        ]


class Closed:
    """``(T^T T + lam m I)^-1 T^T s`` of an image's scores, plus a share of its whole.

    Args:
        texts: ``(K, d)``
        images: ``(n, p, d)`` for the means
        share: of the whole image
        target: ``"plain"`` scores, ``"z"`` scores or ``"sharp"`` ones
        scores: ``(b, p, d)`` to ``(b, K)``; by default those of the best patch
    """

    def __init__(
        self, texts: Tensor, images: Tensor, share: float = 0.0, target: str = "plain",
        scores: Callable[[Tensor], Tensor] | None = None,
    ):
        self._scores = scores or (lambda x: _best(texts, x)[0])
        fitted = torch.cat([self._scores(x) for x in images.split(_BATCH)])
        self._mean, self._std = fitted.mean(0), fitted.std(0).clamp(min=1e-9)
        self._whole, self._share, self._target = images[:, 0].mean(0), share, target
        self._decoder = texts @ inverse(texts)

    def __call__(self, features: Tensor) -> Tensor:
        """``(b, d)`` vectors of ``(b, p, d)`` patch features."""
        found = self._scores(features) - self._mean
        if self._target != "plain":
            found = found / self._std
        if self._target == "sharp":
            found = found + 3 * (found - 2).relu()
        whole = features[:, 0] - self._whole
        return found @ self._decoder + self._share * whole


def competition(
    texts: Tensor, images: Tensor, beta: float
) -> Callable[[Tensor], Tensor]:
    """Scores for which the words compete: ``max_p relu(z) softmax(beta z)``."""
    sample = images[:, ::4].flatten(0, 1) @ texts.T
    mean, std = sample.mean(0), sample.std(0)

    def scores(features: Tensor) -> Tensor:
        z = (features @ texts.T - mean) / std
        return (z.relu() * (beta * z).softmax(dim=2)).amax(dim=1)

    return scores


def whitened(texts: Tensor, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Scores of the best patch after whitening: rare patches count for more."""
    mean, matrix = fit_whitening(images[:, ::4].flatten(0, 1).double(), eps=0.02)

    def scores(features: Tensor) -> Tensor:
        return _best(texts, F.normalize((features - mean) @ matrix, dim=-1))[0]

    return scores


def reduced(texts: Tensor, images: Tensor, dim: int) -> Callable[[Tensor], Tensor]:
    """The closed form in the ``dim`` directions in which texts are longest."""
    basis = torch.linalg.eigh(texts.T @ texts).eigenvectors[:, -dim:]
    closed = Closed(texts @ basis, images @ basis)
    return lambda features: closed(features @ basis) @ basis.T


@dataclass(frozen=True)
class TextMap:
    """A linear map from patch features to the words' space.

    Attributes:
        matrix: ``(d, d)``
        centre: ``(d,)`` mean patch
        mean: ``(d,)`` mean word
    """

    matrix: Tensor
    centre: Tensor
    mean: Tensor

    def __call__(self, patches: Tensor) -> Tensor:
        """Maps ``(..., d)`` patches; unit vectors."""
        mapped = (patches - self.centre) @ self.matrix + self.mean
        return F.normalize(mapped, dim=-1)


def text_map(texts: Tensor, images: Tensor) -> TextMap:
    """Learns the map by the patches that each word matches best."""
    found = [_best(texts, x) for x in images.split(_BATCH)]
    scores, patches = (torch.cat(part) for part in zip(*found))
    top = scores.topk(_PROTOTYPES, dim=0).indices
    words = torch.arange(len(texts))
    rows = torch.stack([
        torch.stack([images[i, patches[i, k]] for i in top[:, k].tolist()]).mean(0)
        for k in words.tolist()
    ])
    centre, mean = images[:, ::4].mean(dim=(0, 1)), texts.mean(dim=0)
    rows = rows - centre
    gram = rows.T @ rows
    regular = gram + 0.1 * gram.trace() / len(gram) * torch.eye(len(gram))
    return TextMap(torch.linalg.solve(regular, rows.T @ (texts - mean)), centre, mean)


def pseudo_words(
    to_text: TextMap, texts: Tensor, images: Tensor, generator: torch.Generator
) -> Tensor:
    """``(1000, d)`` unlike words made of patches that stand out."""
    rows = images.flatten(0, 1)
    rows = rows[torch.randint(len(rows), (40_000,), generator=generator)]
    scores = rows @ texts.T
    height = ((scores - scores.mean(0)) / scores.std(0)).amax(dim=1)
    made = to_text(rows[height.topk(6000).indices])
    centred = F.normalize(made - to_text.mean, dim=1)
    kept: list[int] = []
    for i in range(len(made)):
        if not kept or (centred[kept] @ centred[i]).max() < 0.9:
            kept.append(i)
    return made[kept[:1000]]


@dataclass(frozen=True)
class Shown:
    """For each word and image.

    Attributes:
        texts: ``(q, n, d)`` the word's own vector
        patches: ``(q, n, d)`` the image's patch that it matches best
    """

    texts: Tensor
    patches: Tensor


def best_patches(measured: Measured) -> Shown:
    """Looks up the best patch of every image for every word."""
    part, found = measured.scenes, []
    for features in part.batches():
        _, best = _best(part.texts, features)
        rows = torch.arange(len(features))[:, None]
        found.append(features[rows, best].transpose(0, 1))
    patches = torch.cat(found, dim=1)
    return Shown(part.texts[:, None].expand_as(patches), patches)


def snapped(vectors: Tensor, texts: Tensor, mean: Tensor) -> Tensor:
    """Draws ``(q, n, d)`` vectors to words near them, by a softmax."""
    centred = F.normalize(texts - mean, dim=1)
    return torch.stack([
        (25 * F.normalize(rows - mean, dim=1) @ centred.T).softmax(dim=1) @ texts
        for rows in vectors
    ])


def inverse(texts: Tensor) -> Tensor:
    """``(T^T T + lam m I)^-1``, m the mean eigenvalue."""
    gram = texts.T.double() @ texts.double()
    regular = gram + _LAM * gram.trace() / len(gram) * torch.eye(len(gram))
    return torch.linalg.inv(regular).float()


def _best(texts: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """``(b, K)`` score and number of the best patch."""
    scores = features @ texts.T
    return scores.max(dim=1)
