"""What fusers are fitted on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class FitSample:
    """A sample of features; each fuser takes from it what it needs.

    Attributes:
        patch_features: ``(n, d)`` unit features of patches of many images
        proxies: ``(K, d)`` unit features of texts
        images: ``(b, p, d)`` unit features of whole images' patches, row 0 the whole
            image
        mask: ``(b, p)`` bool, the valid rows of ``images``; None for all
    """

    patch_features: Tensor | None = None
    proxies: Tensor | None = None
    images: Tensor | None = None
    mask: Tensor | None = None

    @classmethod
    def of_images(
        cls, images: Tensor, mask: Tensor | None = None, proxies: Tensor | None = None
    ) -> FitSample:
        """The sample whose patches are all those of the images."""
        rows = images.flatten(0, 1) if mask is None else images[mask]
        return cls(rows, proxies, images, mask)

    @property
    def device(self) -> torch.device | None:
        """Of the images, else of the patch features, else of the proxies."""
        given = (self.images, self.patch_features, self.proxies)
        return next((part.device for part in given if part is not None), None)

    def to(self, device: torch.device) -> FitSample:
        """The same on another device."""
        parts = [getattr(self, field.name) for field in fields(self)]
        return FitSample(*(part if part is None else part.to(device) for part in parts))
