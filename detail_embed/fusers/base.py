"""What every fuser is: features of patches in, one vector of an image out, or a few."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from detail_embed.fusers import files
from detail_embed.fusers.checks import check_features, fit_device
from detail_embed.fusers.sample import FitSample
from detail_embed.storage.plain_numbers import is_a


@dataclass(frozen=True)
class Fused:
    """What a fuser makes of ``b`` images.

    Attributes:
        vectors: ``(b, k, d)`` float32, unit length
        patches: ``(b, k)`` int64, the patch whose box each vector stands for; None
            where a vector stands for the whole image
    """

    vectors: Tensor
    patches: Tensor | None = None


class Fuser(nn.Module, ABC):
    """Turns the patch features of an image into vectors in the same space.

    :meth:`fuse` takes ``features`` ``(b, p, d)``, unit float32, row 0 the whole
    image, and optionally a boolean ``mask`` ``(b, p)``, True where a row is valid, and
    ``boxes`` ``(b, p, 4)`` float, where the patches lie, as fractions ``x0, y0, x1,
    y1`` of the image's width and height. Masked rows count as absent, whatever they
    hold. Calling the fuser gives the vectors alone: ``(b, d)`` of one an image,
    ``(b, k, d)`` of a few.

    All state is float32 in parameters, and in buffers that are empty until
    :meth:`fit`, so that it moves between devices like any module.

    Args:
        dim: d, the dimension of the features
        **options: JSON values that set the fuser up; kept, saved and hashed

    Attributes:
        name: of the kind, in the registry, in saved files and slugs
        description: of the kind, a few words for a form
        makes_few: whether it makes a few vectors of an image
        is_trained: whether it has parameters, see :func:`detail_embed.training.fit`
        uses_boxes: whether it asks where the patches lie
    """

    name: ClassVar[str]
    description: ClassVar[str]
    makes_few: ClassVar[bool] = False
    is_trained: ClassVar[bool] = False
    uses_boxes: ClassVar[bool] = False

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__()
        if not is_a(int, dim) or dim < 1:
            raise ValueError(f"dim must be a positive int, got {dim!r}")
        self.dim = dim
        self.options = options

    @classmethod
    def needs_words(cls, **options: Any) -> bool:
        """Whether a fuser with these options is fitted on proxies."""
        return False

    @property
    def needs_fit(self) -> bool:
        """Whether :meth:`fit` must be called before the fuser."""
        return any(True for _ in self.buffers())

    @property
    def is_fitted(self) -> bool:
        """Whether the fuser can be called."""
        return all(buffer.numel() for buffer in self.buffers())

    @property
    def k(self) -> int:
        """Vectors per image."""
        return 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what a call makes of an image: ``(d,)``, or ``(k, d)`` of a few."""
        return (self.k, self.dim) if self.makes_few else (self.dim,)

    @property
    def hash(self) -> str:
        """12 hex characters that name it: kind, options, every bit of state."""
        return files.digest(self._identity(), self._tensors())

    def fit(self, sample: FitSample | Tensor | None = None) -> Fuser:
        """Takes from a sample of features what is needed, if anything is.

        What is taken lies on the device of the sample. It is computed on the CPU where
        that device lacks float64.

        Args:
            sample (None): the features; a tensor ``(n, d)`` stands for a sample of
                patch features alone

        Returns:
            the fuser itself

        Raises:
            ValueError: if an input that is needed is missing, too small, of another
                dimension, or not finite
            NotImplementedError: if the fuser is trained
        """
        if not isinstance(sample, FitSample):
            sample = FitSample(patch_features=sample)
        device = sample.device
        if device is None or fit_device(device) == device:
            self._fit(sample)
            return self
        self._fit(sample.to(fit_device(device)))
        return self.to(device)

    def fuse(
        self,
        features: Tensor,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> Fused:
        """Makes the vectors of ``b`` images, and says what they stand for.

        Args: as of the class.

        Raises:
            RuntimeError: if the fuser is not fitted
            ValueError: if a shape is wrong, or a valid row not finite
        """
        features, mask = self._ready(features, mask)
        if not self.uses_boxes:
            boxes = None
        if boxes is not None and boxes.shape != (*mask.shape, 4):
            raise ValueError(
                f"boxes: shape {(*mask.shape, 4)} expected, got {tuple(boxes.shape)}"
            )
        fused = self._fuse(features, mask, boxes)
        return Fused(F.normalize(fused.vectors, dim=-1), fused.patches)

    def forward(
        self,
        features: Tensor,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> Tensor:
        """The vectors of :meth:`fuse`: ``(b, d)``, or ``(b, k, d)`` of a few."""
        vectors = self.fuse(features, mask, boxes).vectors
        return vectors if self.makes_few else vectors.squeeze(1)

    def fuse_query(
        self,
        features: Tensor,
        mask: Tensor | None = None,
        boxes: Tensor | None = None,
    ) -> Tensor:
        """The one vector that searches for an image: ``(b, d)``, unit length."""
        return self(features, mask, boxes)

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
        """Writes options and state to a directory, as JSON and safetensors.

        Raises:
            RuntimeError: if it is not fitted
        """
        self._require_fitted()
        files.write(Path(directory), self._identity(), self._tensors())

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

    def _fit(self, sample: FitSample) -> None:
        """Takes what the kind of fuser needs; here: nothing."""

    @abstractmethod
    def _fuse(self, features: Tensor, mask: Tensor, boxes: Tensor | None) -> Fused:
        """Fuses checked float32 features, masked rows zero; any length but zero."""

    def _ready(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Checks the input of a call; returns float32 features, masked rows zeroed."""
        self._require_fitted()
        return check_features(features, mask, self.dim)

    def _require_fitted(self) -> None:
        if not self.is_fitted:
            raise RuntimeError(
                f"the {self.name!r} fuser is not fitted; call fit() first, or load one"
            )

    def _identity(self) -> dict[str, Any]:
        return {"name": self.name, "dim": self.dim, "options": self.options}

    def _tensors(self) -> dict[str, Tensor]:
        return {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}
