"""What is fitted once: its options and state, its hash, saving and loading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

_TENSORS = "fuser.safetensors"
_CONFIG = "fuser.json"


class Saved(nn.Module):
    """A module that a directory can hold, bit for bit.

    All state is float32 in parameters, and in buffers that are empty until
    :meth:`fit`, so that it moves between devices like any module.

    Args:
        dim: d, the dimension of the features
        **options: JSON values that set the module up; kept, saved and hashed
    """

    name: ClassVar[str]
    uses_boxes: ClassVar[bool] = False

    def __init__(self, dim: int, **options: Any) -> None:
        super().__init__()
        if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
            raise ValueError(f"dim must be a positive int, got {dim!r}")
        self.dim = dim
        self.options = options

    @property
    def needs_fit(self) -> bool:
        """Whether :meth:`fit` must be called before the module."""
        return any(True for _ in self.buffers())

    @property
    def is_fitted(self) -> bool:
        """Whether the module can be called."""
        return all(buffer.numel() for buffer in self.buffers())

    @property
    def hash(self) -> str:
        """12 hex characters that name it: kind, options, every bit of state."""
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
    ) -> Saved:
        """Takes from a sample of features what is needed; here: nothing.

        Args:
            patch_features (None): ``(n, d)`` unit features of patches of many images
            proxies (None): ``(K, d)`` unit features of texts
            images (None): ``(b, p, d)`` unit features of whole images' patches, row 0
                the whole image
            mask (None): ``(b, p)`` bool, the valid rows of ``images``

        Returns:
            the module itself

        Raises:
            ValueError: if an input that is needed is missing, too small, of another
                dimension, or not finite
        """
        return self

    def save(self, directory: str | Path) -> None:
        """Writes options and state to a directory, as JSON and safetensors.

        Raises:
            RuntimeError: if it is not fitted
        """
        self._require_fitted()
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        save_file(self._tensors(), directory / _TENSORS)
        config = {**self._identity(), "hash": self.hash}
        (directory / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")

    def restore(self, state: Mapping[str, Tensor]) -> Saved:
        """Takes over all parameters and buffers of another module of this kind.

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

    def _require_fitted(self) -> None:
        if not self.is_fitted:
            raise RuntimeError(
                f"the {self.name!r} fuser is not fitted; call fit() first, or load one"
            )

    def _identity(self) -> dict[str, Any]:
        return {"name": self.name, "dim": self.dim, "options": self.options}

    def _tensors(self) -> dict[str, Tensor]:
        return {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}


def read(directory: str | Path, make: Callable[..., Saved]) -> Saved:
    """Reads what :meth:`Saved.save` wrote.

    Args:
        directory: where it was saved
        make: called with the name, the dimension and the options

    Raises:
        FileNotFoundError: if the directory holds nothing of the kind
        ValueError: if its files are damaged or do not belong together
    """
    directory = Path(directory)
    for part in (_CONFIG, _TENSORS):
        if not (directory / part).is_file():
            raise FileNotFoundError(f"no fuser in {directory}: {part} is missing")
    try:
        config = json.loads((directory / _CONFIG).read_text("utf-8"))
        saved = make(config["name"], config["dim"], **config["options"])
        expected = config["hash"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{directory / _CONFIG} does not describe a fuser: {error!r}"
        ) from error
    try:
        tensors = load_file(directory / _TENSORS)
    except SafetensorError as error:
        raise ValueError(f"{directory / _TENSORS} is damaged: {error}") from error
    if set(tensors) != set(saved.state_dict()):
        raise ValueError(f"{directory / _TENSORS} is not of a {saved.name!r} fuser")
    try:
        saved.restore(tensors)
    except RuntimeError as error:
        raise ValueError(
            f"{directory / _TENSORS} is not of this {saved.name!r} fuser: {error}"
        ) from error
    if saved.hash != expected:
        raise ValueError(
            f"the fuser in {directory} is damaged: hash {saved.hash}, not {expected}"
        )
    return saved.eval()
