"""Many vectors an image like those of a CLIP, in blocks, and their exact search."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from detail_embed.patch_search.vector_part import Block

_CLUSTERS, _SPECTRUM = 3000, 0.5  # as of :mod:`.data`
_IMAGES = 5000  # in memory at once


class Cone:
    """The distribution of :func:`.data.vectors`, drawn in float32 on all cores.

    Args:
        dim: of the vectors
    """

    def __init__(self, dim: int):
        random = torch.Generator().manual_seed(0)
        self._scale = torch.arange(1, dim + 1) ** -_SPECTRUM
        self._scale /= self._scale.norm()
        cones = torch.randn(2, dim, generator=random)
        self._image, self._text = F.normalize(cones, dim=1)
        centres = torch.randn(_CLUSTERS, dim, generator=random)
        self._centres = centres * self._scale

    def images(self, count: int, seed: int) -> torch.Tensor:
        """Vectors of images, ``(count, d)`` float32, unit length."""
        return self._draw(count, self._image, 0.7, seed)

    def texts(self, count: int, seed: int) -> np.ndarray:
        """Vectors of texts, ``(count, d)`` float32, unit length."""
        return self._draw(count, self._text, 1.0, seed).numpy()

    def _draw(
        self, count: int, cone: torch.Tensor, spread: float, seed: int
    ) -> torch.Tensor:
        random = torch.Generator().manual_seed(1 + seed)
        own = torch.randn(count, len(cone), generator=random)
        of = torch.randint(_CLUSTERS, (count,), generator=random)
        own.mul_(self._scale * spread).add_(self._centres[of]).add_(cone)
        return own.div_(own.norm(dim=1, keepdim=True))


class Exact:
    """The best images of all that were looked at, for some queries.

    Args:
        queries: ``(q, d)`` float32
        k: images
    """

    def __init__(self, queries: np.ndarray, k: int):
        self._queries, self._k = torch.from_numpy(queries), k
        self.scores = torch.empty(len(queries), 0)
        self.images = torch.empty(len(queries), 0, dtype=torch.int64)

    def look(self, start: int, vectors: torch.Tensor, per_image: int) -> None:
        """Looks at the vectors of images, the first of which is ``start``."""
        near = (vectors @ self._queries.T).reshape(-1, per_image, len(self._queries))
        scores = near.amax(1).T
        images = torch.arange(start, start + scores.shape[1]).expand_as(scores)
        scores = torch.cat([self.scores, scores], 1)
        images = torch.cat([self.images, images], 1)
        self.scores, at = scores.topk(min(self._k, scores.shape[1]), dim=1)
        self.images = images.gather(1, at)


def blocks(
    cone: Cone, images: int, per_image: int, exact: Exact | None = None
) -> Iterator[Block]:
    """The vectors of images, as float16 holds them; the i-th image has the id i."""
    for start in range(0, images, _IMAGES):
        size = min(_IMAGES, images - start)
        vectors = cone.images(size * per_image, start).half()
        if exact is not None:
            exact.look(start, vectors.float(), per_image)
        ids = [id_of(image) for image in range(start, start + size)]
        yield Block(ids, np.full(size, per_image), vectors.numpy())


def id_of(image: int) -> str:
    """The id of an image, by its number."""
    return f"{image:024x}"
