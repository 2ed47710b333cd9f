"""What a step is ranked against beside its own images."""

from __future__ import annotations

import torch
from torch import Tensor

from detail_embed.training.checkpoint import part


class Queue:
    """The fused vectors of the last images, and which images they were.

    Args:
        size: how many are kept; none if 0
    """

    def __init__(self, size: int):
        self._size = size
        self._vectors: Tensor | None = None
        self._places: Tensor | None = None

    def with_earlier(self, fused: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Joins a batch with the queue, and puts it there; gradients end here."""
        places = places.to(fused.device)
        vectors, seen = fused, places
        if self._vectors is not None and self._size:
            vectors = torch.cat([fused, self._vectors])
            seen = torch.cat([places, self._places])
        if self._size:
            self._vectors = vectors[: self._size].detach()
            self._places = seen[: self._size]
        return vectors, seen

    def pack(self) -> dict[str, Tensor]:
        """The queue as named tensors."""
        if self._vectors is None:
            return {}
        return {
            "queue.vectors": self._vectors.cpu().contiguous(),
            "queue.places": self._places.cpu().contiguous(),
        }

    def unpack(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Takes over what :meth:`pack` gave."""
        held = part(tensors, "queue", device)
        self._vectors, self._places = held.get("vectors"), held.get("places")
