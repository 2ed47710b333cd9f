"""Patch features in a folder: what was encoded once need not be again."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from detail_embed.features import shards
from detail_embed.features.discarded import read_discarded, write_discarded
from detail_embed.features.label import LABEL, check_label, other_store, read_label
from detail_embed.features.packing import StoredImage, check_dtype, pack, unpack
from detail_embed.features.padding import pad
from detail_embed.features.shards import ShardFile
from detail_embed.images.file_source import FileSource, is_same
from detail_embed.images.look import look, newer
from detail_embed.images.read_pool import READ_SECONDS

_OPEN_SHARDS = 1024  # mapped at once; that takes addresses, neither memory nor files
_PLACES = ("boxes", "levels")


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
        check_dtype(dtype)
        self._directory = Path(directory)
        self.slug, self.dim, self.dtype = slug, dim, dtype
        self._directory.mkdir(parents=True, exist_ok=True)
        check_label(self._directory, {"slug": slug, "dim": dim, "dtype": dtype})
        self._mapped = functools.lru_cache(_OPEN_SHARDS)(shards.map_shard)
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
        sources: Sequence[FileSource | None] | None = None,
        precision: str | None = None,
    ) -> None:
        """Stores ``n`` images as one shard, whole or not at all.

        Args:
            ids: ``n`` names
            features: ``n`` times ``(p, d)`` float, on any device
            boxes: ``n`` times ``(p, 4)`` int, pixels
            levels: ``n`` times ``(p,)`` int
            sources (None): what the ``n`` files were, so that a file that has changed
                since is known; None where nobody knows
            precision (None): of the backbone; None where nobody knows

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
        given = zip(ids, features, boxes, levels)
        images = [pack(*image, self.dim, self.dtype) for image in given]
        if not images:
            return
        sources = [None] * len(ids) if sources is None else list(sources)
        offsets = np.cumsum([0, *(len(image["levels"]) for image in images)])
        tensors = {
            key: torch.cat([image[key] for image in images]) for key in images[0]
        }
        made = list(ids), offsets, tensors, sources, precision
        self._index(shards.write_shard(self._directory, *made))

    def __getitem__(self, id: str) -> StoredImage:
        """Reads one image, and no more than that from the disk.

        Raises:
            KeyError: if it is not in the store
        """
        tensors, rows = self._locate(id)
        boxes, levels = (tensors[key][rows].numpy().copy() for key in _PLACES)
        return StoredImage(id, self.features(id), boxes, levels, self._source(id))

    def features(self, id: str) -> Tensor:
        """Reads the features of one image, ``(p, d)`` float32, and nothing else.

        Raises:
            KeyError: if it is not in the store
        """
        tensors, rows = self._locate(id)
        return unpack(tensors, rows)

    def patches(self, ids: Sequence[str], rows: Sequence[int]) -> Tensor:
        """Reads the features of one patch of each of ``m`` images, ``(m, d)`` float32.

        Raises:
            KeyError: if an image is not in the store
        """
        found = torch.empty(len(ids), self.dim)
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for at, (id, row) in enumerate(zip(ids, rows)):
            shard, image = self._places[id]
            pair = at, int(shard.offsets[image]) + row
            wanted.setdefault(shard.path, []).append(pair)
        for path, places in wanted.items():
            ats, own = torch.tensor(places).T
            found[ats] = unpack(self._mapped(path), own)
        return found

    def batch(self, ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Reads the features of ``b`` images, as fusers take them.

        Returns:
            features ``(b, p, d)`` float32, filled up with zeros, and the mask
            ``(b, p)`` bool of the valid rows

        Raises:
            KeyError: if an image is not in the store
        """
        return pad([self.features(id) for id in ids], self.dim)

    def changed(
        self, items: Iterable[tuple[str, str]], trust: bool = False,
        read_seconds: float = READ_SECONDS,
    ) -> list[str]:
        """Finds the images whose files are others than those they were made of.

        Args:
            items: ids and paths; images that are not in the store are left out
            trust (False): whether images of older versions, which do not know their
                files, count as unchanged; else they do where the file is not newer
                than the shard
            read_seconds (READ_SECONDS): that a file may be waited for; one of which
                nothing came counts as unchanged

        Returns:
            the ids
        """
        held = [(id, str(path), self._source(id)) for id, path in items if id in self]
        known = [entry for entry in held if entry[2] is not None]
        now = look(((source, path) for _, path, source in known), read_seconds)
        old = [] if trust else [(i, path) for i, path, source in held if source is None]
        written = ((path, self._places[i][0].written) for i, path in old)
        return [
            *(i for (i, _), new in zip(old, newer(written, read_seconds)) if new),
            *(i for (i, _, source), new in zip(known, now)
              if new is not None and not is_same(source, new)),
        ]

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """The images among these of which the store does not know the file."""
        return [id for id in ids if id in self and self._source(id) is None]

    def precisions(self) -> dict[str, str]:
        """The precision that images were encoded in, by id, where it is known."""
        places = self._places.items()
        return {id: shard.precision for id, (shard, _) in places if shard.precision}

    def hide(self, ids: Iterable[str]) -> None:
        """Takes images out of this object, until they are added anew."""
        for id in ids:
            self._places.pop(id, None)

    def discard(self, ids: Iterable[str]) -> None:
        """Takes images out of the store, for good; the shards keep their room."""
        gone: dict[str, list[str]] = {}
        for id in ids:
            if id in self:
                gone.setdefault(self._places[id][0].path.name, []).append(id)
        if gone:
            write_discarded(self._directory, gone)
        self.hide(id for some in gone.values() for id in some)

    def compact(self) -> None:
        """Removes the shards of which nothing is used; for when nobody reads them."""
        used = {shard.path for shard, _ in self._places.values()}
        for shard in self._shards:
            if shard.path not in used:
                shard.remove()
        self._shards = [shard for shard in self._shards if shard.path in used]

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
                shards.remove(shard.path, "its checksum is wrong")
        self._load()
        return [id for id in before if id not in self]

    def _load(self) -> None:
        self._shards: list[ShardFile] = []
        self._places: dict[str, tuple[ShardFile, int]] = {}
        discarded = read_discarded(self._directory)
        for shard in shards.open_shards(self._directory):
            self._index(shard, discarded.get(shard.path.name, ()))

    def _locate(self, id: str) -> tuple[dict[str, Tensor], slice]:
        """The tensors of the image's shard, and its rows in them."""
        shard, row = self._places[id]
        return self._mapped(shard.path), slice(*shard.offsets[row : row + 2].tolist())

    def _index(self, shard: ShardFile, without: Container[str] = ()) -> None:
        self._shards.append(shard)
        for row, id in enumerate(shard.ids):
            if id in without:  # and what came before it is older still
                self._places.pop(id, None)
            else:
                self._places[id] = shard, row

    def _source(self, id: str) -> FileSource | None:
        shard, row = self._places[id]
        return shard.sources[row]
