"""What every fuser is: the protocol, checks, the registry, saving and loading."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

_TENSORS = "fuser.safetensors"
_CONFIG = "fuser.json"
_REGISTRY: dict[str, type[Fuser]] = {}
_FuserType = TypeVar("_FuserType", bound="type[Fuser]")


class Fuser(nn.Module, ABC):
    """Turns the patch features of an image into one vector in the same space.

    All state is float32 in buffers and parameters, so that a fuser moves between
    devices like any module. Call the fuser with ``features`` ``(b, p, d)``, unit
    float32, row 0 the whole image, and optionally a boolean ``mask`` ``(b, p)``, True
    where a row is valid, and ``boxes`` ``(b, p, 4)`` float, where the patches lie, as
    fractions ``x0, y0, x1, y1`` of the image's width and height; it returns ``(b, d)``
    unit float32. Masked rows count as absent, whatever they hold.

    Args:
        dim: d, the dimension of the features
        **options: JSON values that set the fuser up; kept, saved and hashed
    """

    name: ClassVar[str]
    uses_boxes: ClassVar[bool] = False
    is_trained: ClassVar[bool] = False

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__()
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise ValueError(f"dim must be a positive int, got {dim!r}")
        self.dim = dim
        self.options = options

    @property
    def needs_fit(self) -> bool:
        """Whether :meth:`fit` must be called before the fuser."""
        return any(True for _ in self.buffers())

    @property
    def is_fitted(self) -> bool:
        """Whether the fuser can be called."""
        return all(buffer.numel() for buffer in self.buffers())

    @property
    def hash(self) -> str:
        """12 hex characters that name the fuser: kind, options, every bit of state."""
        digest = hashlib.sha256(json.dumps(self._identity(), sort_keys=True).encode())
        for key, tensor in sorted(self._tensors().items()):
            digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:12]

    def fit(
        self,
        patch_features: Tensor | None = None,
        proxies: Tensor | None = None,
        images: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Fuser:
        """Takes from a sample of features what the fuser needs; here: nothing.

        Args:
            patch_features (None): ``(n, d)`` unit features of patches of many images
            proxies (None): ``(K, d)`` unit features of texts
            images (None): ``(b, p, d)`` unit features of whole images' patches, row 0
                the whole image
            mask (None): ``(b, p)`` bool, the valid rows of ``images``

        Returns:
            the fuser itself

        Raises:
            ValueError: if an input that the fuser needs is missing, too small, of
                another dimension, or not finite
        """
        return self

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

    def save(self, directory: str | Path) -> None:
        """Writes the fuser to a directory, bit for bit, as safetensors and JSON.

        Raises:
            RuntimeError: if it is not fitted
        """
        self._require_fitted()
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        save_file(self._tensors(), directory / _TENSORS)
        config = {**self._identity(), "hash": self.hash}
        (directory / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")

    def restore(self, state: Mapping[str, Tensor]) -> Fuser:
        """Takes over all parameters and buffers of another fuser of this kind.

        Args:
            state: of its ``state_dict()``; buffers may have other shapes than here

        Raises:
            RuntimeError: if a parameter is missing or has another shape
        """
        for key, _ in list(self.named_buffers()):
            owner, _, name = key.rpartition(".")
            setattr(self.get_submodule(owner), name, state[key].clone())
        self.load_state_dict(state)
        return self

    @abstractmethod
    def _fuse(self, features: Tensor, mask: Tensor) -> Tensor:
        """Fuses checked float32 features, masked rows zero; any length but zero."""

    def _ready(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Checks the input of a call; returns float32 features, masked rows zeroed."""
        self._require_fitted()
        return check_images(features, mask, self.dim)

    def _require_fitted(self) -> None:
        if not self.is_fitted:
            raise RuntimeError(
                f"the {self.name!r} fuser is not fitted; call fit() first, or load one"
            )

    def _identity(self) -> dict[str, Any]:
        return {"name": self.name, "dim": self.dim, "options": self.options}

    def _tensors(self) -> dict[str, Tensor]:
        return {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}


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
    directory = Path(directory)
    for part in (_CONFIG, _TENSORS):
        if not (directory / part).is_file():
            raise FileNotFoundError(f"no fuser in {directory}: {part} is missing")
    try:
        config = json.loads((directory / _CONFIG).read_text("utf-8"))
        fuser = create(config["name"], config["dim"], **config["options"])
        expected = config["hash"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{directory / _CONFIG} does not describe a fuser: {error!r}"
        ) from error
    try:
        tensors = load_file(directory / _TENSORS)
    except SafetensorError as error:
        raise ValueError(f"{directory / _TENSORS} is damaged: {error}") from error
    if set(tensors) != set(fuser.state_dict()):
        raise ValueError(f"{directory / _TENSORS} is not of a {fuser.name!r} fuser")
    try:
        fuser.restore(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"{directory / _TENSORS} is not of this {fuser.name!r} fuser: {error}"
        ) from error
    if fuser.hash != expected:
        raise ValueError(
            f"the fuser in {directory} is damaged: hash {fuser.hash}, not {expected}"
        )
    return fuser.eval()


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


def check_images(
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
