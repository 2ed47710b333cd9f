"""The embedding space of an index: made and fitted once, then loaded."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import fiftyone.core.collections as foc

from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.delete import clear
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.runs.run import Progress, encode_words
from detail_embed.space import DetailEmbedder
from detail_embed.space.choose_fuser import AUTO, FuserChoice, enough
from detail_embed.space.embedding_space import make_global_space
from detail_embed.space.fit_sample import draw

_FIT_IMAGES = 200


def open_space(
    index: Index,
    samples: foc.SampleCollection,
    items: list[tuple[str, str]],
    settings: Settings,
    overwrite: bool,
) -> Generator[Progress, None, tuple[DetailEmbedder, FeatureStore | None]]:
    """Loads the space of an index, or makes, fits and records a new one.

    Args:
        index: what is computed
        samples: the dataset or view
        items: ids and paths of its images
        settings: the space asked for
        overwrite: whether what is under the brain key is deleted first

    Returns:
        the space, and the patch features that there are or shall be

    Raises:
        ValueError: if the fuser cannot be fitted on these images
    """
    yield Progress("Loading the backbone", 0.0)
    backbone = settings.load_backbone()
    record = None if overwrite else index.record
    if record is None:
        space = settings.make_space(backbone)
    else:
        space = zoo.load(record.space, backbone)
    store = feature_stores.prepare(index.dataset, space, settings.keep_features, items)
    folder = None if store is None else str(store.directory)
    if record is None:
        choice = yield from _fit(space, samples, items, settings, store)
        record = Record(
            space=zoo.publish(space),
            global_space=zoo.publish(make_global_space(backbone)),
            identity=settings.identity(),
            features=folder,
            card=choice and choice.to_dict(),
        )
        clear(index)
        index.write(record)
        return space, store
    changed = replace(
        record, features=folder or record.features, identity=settings.identity()
    )
    if changed != record:  # paths of files in records of older versions become hashes
        index.write(changed)
    return space, store


def _fit(
    space: DetailEmbedder,
    samples: foc.SampleCollection,
    items: list[tuple[str, str]],
    settings: Settings,
    store: FeatureStore | None,
) -> Generator[Progress, None, FuserChoice | None]:
    """Fits or chooses the fuser on some images; on what is stored, if all of it is."""
    if not settings.needs_fit(space):
        return None
    ids = [id for id, _ in draw(items, _FIT_IMAGES)]
    paths = [path for _, path in items]
    name = settings.fuser_name
    words = settings.vocabulary(samples) if settings.needs_vocabulary else None
    if name == AUTO:
        words = enough(words)
    if words is not None:
        yield from encode_words(space.backbone, words)
    yield Progress(f"Fitting the {name!r} fuser on {len(ids)} images", 0.0)
    is_stored = store is not None and all(id in store for id in ids)
    sample = {"max_images": _FIT_IMAGES, "options": settings}
    try:
        if name == AUTO:
            choice = (
                space.choose_stored(store, ids, words) if is_stored
                else space.choose_fuser(paths, words, **sample)
            )
            yield Progress(f"Fuser: {choice.reason}", 0.0)
            return choice
        if is_stored:
            space.fit_stored(store, ids, words and words.words)
        else:
            space.fit(paths, words and words.words, **sample)
    except ValueError as error:
        raise ValueError(
            f"the {name!r} fuser cannot be fitted on {len(ids)} images: "
            f"{error}. Pass other images, or choose fuser='mean'"
        ) from error
    return None
