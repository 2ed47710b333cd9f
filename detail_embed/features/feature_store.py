"""Patch features in a folder: what was encoded once need not be again."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from detail_embed.features.label import LABEL, check_label, other_store, read_label
from detail_embed.features.shards import ShardFile, open_shards, remove, write_shard

DTYPES = ("float16", "int8")

_OPEN_SHARDS = 1024  # mapped at once; that takes addresses, neither memory nor files
_PLACES = ("boxes", "levels")
_PLACE_BYTES = 20  # of a patch: box and level, int32
_NAME_BYTES = 120  # of an image: its id and its offset, as JSON


@dataclass(frozen=True)
class StoredImage:
    """What is stored of an image.

    Attributes:
        id: of the image
        features: ``(p, d)`` float32, row 0 the whole image
        boxes: ``(p, 4)`` int32 array, ``x0, y0, x1, y1`` in pixels
        levels: ``(p,)`` int32 array, the cover's level of each window
    """

    id: str
    features: Tensor
    boxes: np.ndarray
    levels: np.ndarray


def estimate_bytes(
    num_images: int, patches_per_image: float, dim: int, dtype: str = "float16"
) -> int:
    """What patch features will take on the disk.

    Args:
        num_images: number of images
        patches_per_image: p, on average
        dim: d, the dimension of the features
        dtype ("float16"): ``"float16"`` or ``"int8"``

    Raises:
        ValueError: if ``dtype`` is neither
    """
    _check_dtype(dtype)
    row = _PLACE_BYTES + (2 * dim if dtype == "float16" else dim + 4)
    return math.ceil(num_images * (patches_per_image * row + _NAME_BYTES))


class FeatureStore:
    """The patch features of many images, in shards that are memory-mapped.

    They belong to a backbone and a cover, not to a fuser: any fuser can be fed
    from them. One image of 166 patches takes 88 KB at d = 256 and 173 KB at 512,
    and is read in 0.04 to 0.07 ms (one CPU core, file in the page cache).

    ``"int8"`` has one scale per vector and takes half of that. MaxSim by it has the
    same mAP to a tenth of a point, see ``docs/results.md``; a fuser that whitens
    feels it more.

    Two runs may write to a folder at once; of two shards with the same image the
    later counts. A damaged shard is removed alone: one whose length is wrong when
    the store is opened, others by :meth:`verify`.

    Args:
        directory: created where missing
        slug: names backbone and cover, see ``DetailEmbedder.patch_slug``
        dim: d, the dimension of the features
        dtype ("float16"): ``"float16"`` or ``"int8"``

    Raises:
        ValueError: if the folder holds features of another slug, dimension or
            type, or is damaged, or ``dtype`` is neither of the two
    """

    def __init__(
        self, directory: str | Path, slug: str, dim: int, dtype: str = "float16"
    ):
        _check_dtype(dtype)
        self._directory = Path(directory)
        self.slug, self.dim, self.dtype = slug, dim, dtype
        self._directory.mkdir(parents=True, exist_ok=True)
        check_label(self._directory, {"slug": slug, "dim": dim, "dtype": dtype})
        self._mapped = functools.lru_cache(_OPEN_SHARDS)(_map)
        self._load()

    @classmethod
    def open(cls, directory: str | Path) -> FeatureStore:
        """Opens the store that a folder holds.

        Raises:
            ValueError: if it holds none, or a damaged one
        """
        label = read_label(Path(directory))
        if label is None:
            raise ValueError(f"{directory} holds no {LABEL}: not a feature store")
        return cls(directory, **label)

    @property
    def directory(self) -> Path:
        """Where the store is."""
        return self._directory

    @property
    def ids(self) -> list[str]:
        """The images in the store, oldest first."""
        return list(self._places)

    @property
    def num_bytes(self) -> int:
        """What the shards take on the disk."""
        return sum(shard.num_bytes for shard in self._shards)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, id: object) -> bool:
        return id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def require(self, slug: str) -> None:
        """Checks that features are those of a backbone and a cover.

        Raises:
            ValueError: if the store is of another slug
        """
        if slug != self.slug:
            raise other_store(self._directory, "slug", self.slug, slug)

    def add(
        self,
        ids: Sequence[str],
        features: Sequence[Tensor | np.ndarray],
        boxes: Sequence[Tensor | np.ndarray],
        levels: Sequence[Tensor | np.ndarray],
    ) -> None:
        """Stores ``n`` images as one shard, whole or not at all.

        Args:
            ids: ``n`` names
            features: ``n`` times ``(p, d)`` float, on any device
            boxes: ``n`` times ``(p, 4)`` int, pixels
            levels: ``n`` times ``(p,)`` int

        Raises:
            ValueError: if a shape is wrong, or features are NaN or infinite; the
                message names the image
            TypeError: if an id is no string
            RuntimeError: if the disk is full; the store stays as it was
        """
        if not len(ids) == len(features) == len(boxes) == len(levels):
            raise ValueError(
                f"{len(ids)} ids, {len(features)} features, {len(boxes)} boxes and "
                f"{len(levels)} levels: give as many of each"
            )
        images = [self._pack(*image) for image in zip(ids, features, boxes, levels)]
        if not images:
            return
        offsets = np.cumsum([0, *(len(image["levels"]) for image in images)])
        tensors = {
            key: torch.cat([image[key] for image in images]) for key in images[0]
        }
        self._index(write_shard(self._directory, list(ids), offsets, tensors))

    def __getitem__(self, id: str) -> StoredImage:
        """Reads one image, and no more than that from the disk.

        Raises:
            KeyError: if it is not in the store
        """
        tensors, rows = self._locate(id)
        boxes, levels = (tensors[key][rows].numpy().copy() for key in _PLACES)
        return StoredImage(id, self.features(id), boxes, levels)

    def features(self, id: str) -> Tensor:
        """Reads the features of one image, ``(p, d)`` float32, and nothing else.

        Raises:
            KeyError: if it is not in the store
        """
        tensors, rows = self._locate(id)
        features = tensors["features"][rows].float()
        if self.dtype == "int8":
            features *= tensors["scale"][rows, None]
        return features

    def batch(self, ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Reads the features of ``b`` images, as fusers take them.

        Returns:
            features ``(b, p, d)`` float32, filled up with zeros, and the mask
            ``(b, p)`` bool of the valid rows

        Raises:
            KeyError: if an image is not in the store
        """
        images = [self.features(id) for id in ids]
        longest = max(map(len, images), default=0)
        features = torch.zeros(len(images), longest, self.dim)
        mask = torch.zeros(len(images), longest, dtype=torch.bool)
        for row, image in enumerate(images):
            features[row, : len(image)], mask[row, : len(image)] = image, True
        return features, mask

    def verify(self, progress: bool = False) -> list[str]:
        """Reads everything and removes the shards that are damaged.

        Args:
            progress (False): whether to show a progress bar

        Returns:
            the images that were lost, to be encoded again
        """
        before = self.ids
        self._mapped.cache_clear()
        for shard in tqdm(self._shards, unit="shard", disable=not progress):
            if not shard.is_intact:
                remove(shard.path, "its checksum is wrong")
        self._load()
        return [id for id in before if id not in self]

    def _load(self) -> None:
        self._shards: list[ShardFile] = []
        self._places: dict[str, tuple[ShardFile, int]] = {}
        for shard in open_shards(self._directory):
            self._index(shard)

    def _locate(self, id: str) -> tuple[dict[str, Tensor], slice]:
        """The tensors of the image's shard, and its rows in them."""
        shard, row = self._places[id]
        return self._mapped(shard.path), slice(*shard.offsets[row : row + 2].tolist())

    def _index(self, shard: ShardFile) -> None:
        self._shards.append(shard)
        self._places.update((id, (shard, row)) for row, id in enumerate(shard.ids))

    def _pack(
        self, id: str, features: Any, boxes: Any, levels: Any
    ) -> dict[str, Tensor]:
        """Checks an image and makes of it what is stored."""
        if not isinstance(id, str):
            raise TypeError(f"{id!r} is no string: a store names images by strings")
        features = torch.as_tensor(features)
        boxes, levels = (torch.as_tensor(x, dtype=torch.int32) for x in (boxes, levels))
        count = len(features)
        shapes = [tuple(x.shape) for x in (features, boxes, levels)]
        if count < 1 or shapes != [(count, self.dim), (count, 4), (count,)]:
            raise ValueError(
                f"{id}: features, boxes and levels are {shapes}: give (p, {self.dim}), "
                "(p, 4) and (p,)"
            )
        packed = _quantize(features) if self.dtype == "int8" else {
            "features": features.half()
        }
        if not all(torch.isfinite(tensor).all() for tensor in packed.values()):
            raise ValueError(
                f"the features of {id} hold NaN or values that are not finite in "
                f"{self.dtype}"
            )
        packed |= {"boxes": boxes, "levels": levels}
        return {key: tensor.cpu() for key, tensor in packed.items()}


def _map(path: Path) -> dict[str, Tensor]:
    """The tensors of a shard; what is not read stays on the disk."""
    with safe_open(path, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def _quantize(features: Tensor) -> dict[str, Tensor]:
    """``(p, d)`` as int8 and the ``(p,)`` float32 scale of every vector."""
    features = features.float()
    scale = features.abs().amax(dim=1) / 127
    steps = features / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return {"features": steps.round().to(torch.int8), "scale": scale}


def _check_dtype(dtype: str) -> None:
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}: give one of {', '.join(DTYPES)}")
