"""What every fuser is: the protocol, the registry, and the checks they share."""

from __future__ import annotations

import difflib
import math
from abc import ABC, abstractmethod
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from detail_embed.fusers.saved import Saved, read

_REGISTRY: dict[str, type[Fuser]] = {}
_FuserType = TypeVar("_FuserType", bound="type[Fuser]")


class Fuser(Saved, ABC):
    """Turns the patch features of an image into one vector in the same space.

    Call the fuser with ``features`` ``(b, p, d)``, unit float32, row 0 the whole
    image, and optionally a boolean ``mask`` ``(b, p)``, True where a row is valid, and
    ``boxes`` ``(b, p, 4)`` float, where the patches lie, as fractions ``x0, y0, x1,
    y1`` of the image's width and height; it returns ``(b, d)`` unit float32. Masked
    rows count as absent, whatever they hold.
    """

    is_trained: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is made of an image: ``(d,)``."""
        return (self.dim,)

    def forward(
        self,
        features: Tensor,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> Tensor:
        """Fuses ``(b, p, d)`` features to ``(b, d)`` unit float32 vectors."""
        features, mask = self._ready(features, mask)
        if not self.uses_boxes:
            fused = self._fuse(features, mask)
        elif boxes is None or boxes.shape == (*mask.shape, 4):
            fused = self._fuse(features, mask, boxes)
        else:
            raise ValueError(
                f"boxes: shape {(*mask.shape, 4)} expected, got {tuple(boxes.shape)}"
            )
        return F.normalize(fused, dim=-1)

    def patch_weights(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Says how much each patch counts in the vector, where the fuser can.

        Args:
            features: ``(b, p, d)``
            mask (None): ``(b, p)`` bool, the valid rows

        Returns:
            ``(b, p)`` float32, 0 where masked

        Raises:
            NotImplementedError: if the vector is no weighted sum of patches
        """
        raise NotImplementedError(
            f"the {self.name!r} fuser does not weigh patches; 'mean', 'gmp' and "
            "'attention' do"
        )

    @abstractmethod
    def _fuse(self, features: Tensor, mask: Tensor) -> Tensor:
        """Fuses checked float32 features, masked rows zero; any length but zero."""

    def _ready(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Checks the input of a call; returns float32 features, masked rows zeroed."""
        self._require_fitted()
        return check_features(features, mask, self.dim)


def register(cls: _FuserType) -> _FuserType:
    """Class decorator: makes a fuser known under its ``name``."""
    _REGISTRY[cls.name] = cls
    return cls


def names() -> list[str]:
    """Names of all fusers, sorted."""
    return sorted(_REGISTRY)


def create(name: str, dim: int, **options: Any) -> Fuser:
    """Makes a new, unfitted fuser.

    Args:
        name: one of :func:`names`
        dim: dimension of the features
        **options: options of that fuser

    Raises:
        ValueError: if there is no such fuser, or an option has no valid value
        TypeError: if the fuser has no such option
    """
    if name not in _REGISTRY:
        near = difflib.get_close_matches(str(name), names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"unknown fuser {name!r}{hint} Choose one of {names()}")
    return _REGISTRY[name](dim, **options)


def load(directory: str | Path) -> Fuser:
    """Reads a fuser that :meth:`Fuser.save` wrote.

    Raises:
        FileNotFoundError: if the directory holds no fuser
        ValueError: if its files are damaged or do not belong together
    """
    return read(directory, create)


def check_number(
    option: str,
    value: object,
    above: float = -math.inf,
    at_least: float = -math.inf,
) -> float:
    """Returns an option of a fuser as a float.

    Raises:
        ValueError: if it is no finite number, or out of range
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and above < value >= at_least:
        return float(value)
    limit = f"above {above:g}" if above > at_least else f"at least {at_least:g}"
    raise ValueError(f"{option} must be a number {limit}, got {value!r}")


def check_rows(rows: Tensor | None, dim: int, what: str, at_least: int = 1) -> Tensor:
    """Checks ``(n, d)`` features for fitting; returns them as float64.

    Raises:
        ValueError: if they are missing, too few, of another shape or not finite
    """
    if rows is None:
        raise ValueError(f"fit() needs {what}, shape (n, {dim}); got None")
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"{what}: shape (n, {dim}) expected, got {tuple(rows.shape)}")
    if len(rows) < at_least:
        raise ValueError(f"{what}: at least {at_least} needed, got {len(rows)}")
    if not torch.isfinite(rows).all():
        raise ValueError(f"{what}: NaN or infinite values; leave out failed rows")
    return rows.double()


def fit_whitening(rows: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Mean ``m`` and ``W = (C + eps l I)^-1/2`` of features.

    Args:
        rows: ``(n, d)`` float64, with covariance ``C`` and its largest eigenvalue ``l``
        eps: floor of the spectrum, as a share of ``l``

    Returns:
        ``(d,)`` and ``(d, d)`` float32

    Raises:
        ValueError: if all rows are equal
    """
    mean = rows.mean(dim=0)
    centred = rows - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    if values[-1] <= torch.finfo(torch.float32).eps ** 2:
        raise ValueError("patch_features are all equal: no whitening can be fitted")
    scale = (values.clamp(min=0) + eps * values[-1]).rsqrt()
    return mean.float(), (vectors * scale @ vectors.T).float()


def check_features(
    features: Tensor, mask: Tensor | None, dim: int
) -> tuple[Tensor, Tensor]:
    """Checks ``(b, p, d)`` features and their mask.

    Returns:
        features as float32, masked rows zero, and the mask ``(b, p)``, all True by
        default

    Raises:
        ValueError: on a wrong shape or dtype, an image without its row 0, or values
        that
            are not finite in valid rows
    """
    if features.ndim != 3 or features.shape[2] != dim or features.shape[1] < 1:
        raise ValueError(
            f"features: shape (b, p, {dim}) expected, got {tuple(features.shape)}"
        )
    features = features.float()
    if mask is None:
        mask = features.new_ones(features.shape[:2], dtype=torch.bool)
    elif mask.dtype != torch.bool or mask.shape != features.shape[:2]:
        raise ValueError(
            f"mask: bool of shape {tuple(features.shape[:2])} expected, got "
            f"{mask.dtype} of shape {tuple(mask.shape)}"
        )
    else:
        features = features.masked_fill(~mask[..., None], 0.0)
    if not mask[:, 0].all():
        raise ValueError("mask: row 0, the whole image, must be valid in every image")
    bad = ~torch.isfinite(features).all(dim=2).all(dim=1)
    if bad.any():
        raise ValueError(
            f"features of images {bad.nonzero().flatten().tolist()[:5]} hold NaN or "
            "infinite values; leave failed images out"
        )
    return features, mask
