"""Where the patch features of datasets are kept.

One folder per dataset, backbone and cover, below the user's data directory; images
are named by their sample ids.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import fiftyone as fo
import fiftyone.core.collections as foc
import open_clip

from detail_embed.cover import CompleteCover
from detail_embed.features import FeatureStore
from detail_embed.features.disk_space import check_room, estimate, free_bytes
from detail_embed.features.label import LABEL
from detail_embed.features.packing import DTYPES
from detail_embed.fiftyone_bridge.index import brain_runs
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.leftovers import folder_of, note_owner
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.private_names import dataset_id, dataset_of
from detail_embed.images.read_pool import READ_SECONDS
from detail_embed.space.choose_fuser import AUTO
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.storage.user_folders import DATA_VARIABLE, data_directory
from detail_embed.storage.whole_files import megabytes

_MOST_BYTES = 5 * 10**9  # that are kept without being asked for
_FREE_SHARE = 0.1  # of the disk, likewise
_AUTO_DTYPE = "int8"


def describe(samples: foc.SampleCollection, settings: Settings) -> str:
    """Says what keeping the features of samples takes, and what there is room for."""
    needed = _estimate(samples, settings)
    free = megabytes(free_bytes(data_directory()))
    room = f"{_short(data_directory())} has {free} free"
    if needed is None:
        return room
    dtype = _dtype(settings)
    return f"{len(samples)} images take about {megabytes(needed)} in {dtype}; {room}"


def check_disk_space(samples: foc.SampleCollection, settings: Settings) -> None:
    """Checks that there is room, before the backbone is loaded.

    A dataset that has features already is only checked by :func:`prepare`.

    Raises:
        ValueError: if there is not
    """
    has_any = _folder(dataset_of(samples), "").exists()
    if not settings.must_keep or has_any:
        return
    needed = _estimate(samples, settings)
    if needed is not None and needed > free_bytes(data_directory()):
        raise ValueError(
            f"no room for patch features: {describe(samples, settings)}. Make room, "
            f"set {DATA_VARIABLE} to a folder on another disk, choose a smaller "
            "cover, or keep no features"
        )


def choose(
    index: Index,
    record: Record | None,
    space: EmbeddingSpace,
    settings: Settings,
    items: Sequence[tuple[str, str]],
) -> tuple[bool | str, str]:
    """Whether, and as what, the patch features of new images are kept.

    With ``keep_features="auto"`` as those of an index that exists, or of another with
    the same patches; of a new one as int8 where these are at most 5 GB and a tenth of
    what the disk has free. With True likewise, but whatever room they take.

    Args:
        index: what is computed
        record: of the index; None for a new one
        space: backbone and cover
        settings: what was asked for
        items: the ``(id, path)`` pairs of the run

    Returns:
        a type of a feature store, or False; and a sentence that says so, empty where
        nothing was chosen
    """
    if settings.keep_features not in (AUTO, True):
        return settings.keep_features, ""
    store, must = find(index.dataset, space.patch_slug), settings.must_keep
    if record is not None and not must:
        has_some = store is not None and record.features is not None
        return (store.dtype if has_some else False), ""
    if store is not None:
        return store.dtype, f"Patch features are kept in {store.dtype}, as they are"
    paths = [path for _, path in items]
    needed = estimate(paths, space.cover, space.dim, _AUTO_DTYPE)
    if must or has_room(needed):
        return _AUTO_DTYPE, (
            f"Patch features are kept, about {megabytes(needed)}: all patches can be "
            "searched"
        )
    return False, (
        f"Patch features are not kept: about {megabytes(needed)}, and the disk has "
        f"{megabytes(free_bytes(data_directory()))} free. keep_features=True keeps them"
    )


def has_room(needed: int) -> bool:
    """Whether features of so many bytes are kept without being asked for."""
    free = free_bytes(data_directory())
    return needed <= min(_MOST_BYTES, _FREE_SHARE * free)


def find(dataset: fo.Dataset, patch_slug: str) -> FeatureStore | None:
    """Opens the store of a dataset for a backbone and a cover, if there is one.

    Raises:
        ValueError: if it is damaged
    """
    folder = _folder(dataset, patch_slug)
    return FeatureStore.open(folder) if (folder / LABEL).is_file() else None


def is_there(folder: str | None) -> bool:
    """Whether a folder that a record names still holds a store."""
    return folder is not None and (Path(folder) / LABEL).is_file()


def num_bytes(folder: str | None) -> int | None:
    """What a store takes on the disk; None where there is none.

    The files of a folder are looked at again only after one came or went.
    """
    if not is_there(folder):
        return None
    try:
        return _num_bytes(folder, os.stat(folder).st_mtime_ns)
    except FileNotFoundError:  # deleted meanwhile
        return None


def prepare(
    dataset: fo.Dataset, space: EmbeddingSpace, keep: bool | str,
    items: Sequence[tuple[str, str]], fresh: bool = False,
    read_seconds: float = READ_SECONDS,
) -> FeatureStore | None:
    """Opens the store that a run reads, or makes the one that it fills.

    Args:
        dataset: the dataset
        space: backbone and cover
        keep: whether to keep features: False, ``"float16"`` or ``"int8"``
        items: the ``(id, path)`` pairs of the run
        fresh (False): whether what is stored of these is left aside; of files that
            have changed since it is discarded in any case
        read_seconds (READ_SECONDS): that a file may be waited for

    Returns:
        the store, None if there is none and none is wanted

    Raises:
        ValueError: if the disk has too little room, or the store is damaged, or
            of another type than the one to keep
    """
    store = find(dataset, space.patch_slug)
    if store is not None:
        store.discard(store.changed(items, True, read_seconds))
        if fresh:
            store.hide(id for id, _ in items)
    if not keep:
        return store
    if store is not None and store.dtype != keep:
        raise ValueError(
            f"{store.directory} holds patch features of this dataset in "
            f"{store.dtype}: pass keep_features={store.dtype!r}, or delete the folder"
        )
    new = [path for id, path in items if store is None or id not in store]
    folder = _folder(dataset, space.patch_slug)
    if new:
        check_room(folder, new, space.cover, space.dim, keep)
    store = store or FeatureStore(folder, space.patch_slug, space.dim, keep)
    note_owner(dataset)
    return store


def delete(dataset: fo.Dataset, folder: str | None) -> None:
    """Deletes a store of a dataset; nothing else, such as that of its original."""
    if is_there(folder) and is_own(dataset, folder):
        shutil.rmtree(folder)


def tidy(dataset: fo.Dataset, folder: str | None, store: FeatureStore | None) -> None:
    """Frees the room of features that nothing uses, when an index is made anew.

    Args:
        dataset: the dataset
        folder: what only the former index used; None for nothing
        store: what is filled now; None where nothing is kept
    """
    if store is None or folder is None:
        return
    if folder == str(store.directory):
        store.compact()
    else:
        delete(dataset, folder)


def is_own(dataset: fo.Dataset, folder: str) -> bool:
    """Whether a store was made for a dataset, and not for its original."""
    return Path(folder).parent.name == str(dataset_id(dataset))


def _dtype(settings: Settings) -> str:
    return settings.keep_features if settings.keep_features in DTYPES else _AUTO_DTYPE


def _estimate(samples: foc.SampleCollection, settings: Settings) -> int | None:
    """Bytes; None where that cannot be said before the backbone is loaded."""
    config = open_clip.get_model_config(settings.backbone)
    cover = CompleteCover(settings.cover, settings.spacing)
    if config is None or cover.c == "auto":
        return None
    dtype = _dtype(settings)
    return estimate(samples.values("filepath"), cover, config["embed_dim"], dtype)


@functools.lru_cache(maxsize=64)
def _num_bytes(folder: str, modified: int) -> int:
    with os.scandir(folder) as files:
        shards = [file for file in files if file.name.endswith(".safetensors")]
        return sum(file.stat().st_size for file in shards)


def _short(path: Path) -> Path:
    """A path with ~ for the home."""
    home = Path.home()
    return Path("~") / path.relative_to(home) if path.is_relative_to(home) else path


def _folder(dataset: fo.Dataset, patch_slug: str) -> Path:
    return folder_of(dataset) / patch_slug


def searchable(dataset: fo.Dataset) -> list[str]:
    """The brain keys of indexes with stored patch features."""
    keys = []
    for key in brain_runs.promptable(dataset):
        record, _ = Index(dataset, key).find()
        if record is not None and record.features:
            keys.append(key)
    return keys


def open_store(index: Index) -> FeatureStore:
    """Opens the patch features behind an index.

    Raises:
        ValueError: if there are none, or they are gone or of another space
    """
    folder, record = stored_features(index)
    store = FeatureStore.open(folder)
    if not record.space.startswith(f"{store.slug}-"):
        raise ValueError(
            f"{folder} holds patch features of {store.slug}, but the index "
            f"{index.key!r} is of the space {record.space}: compute it again with "
            "keep_features, or delete the folder"
        )
    return store


def stored_features(index: Index) -> tuple[Path, Record]:
    """The folder of the patch features behind an index, and its record.

    Raises:
        ValueError: if there are none, or they are gone
    """
    record, _ = index.find()
    again = (
        f"compute the index {index.key!r} again, with keep_features='float16', or "
        "search without re-ranking: samples.sort_by_similarity(text, "
        f"brain_key={index.key!r})"
    )
    if record is None or record.features is None:
        raise ValueError(
            f"no patch features are stored for the index {index.key!r}: {again}"
        )
    folder = Path(record.features)
    if not (folder / LABEL).is_file():
        raise ValueError(f"the patch features in {folder} are gone: {again}")
    return folder, record
