"""The embedding spaces of an index: made and fitted once, then loaded."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import fiftyone.core.collections as foc
from torch import Tensor

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.engine.box_patches import Boxes
from detail_embed.engine.chunk import SkipLog
from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.compute.measured_windows import choose_cover
from detail_embed.fiftyone_bridge.compute.missing_features import store_missing
from detail_embed.fiftyone_bridge.compute.vocabulary import vocabulary
from detail_embed.fiftyone_bridge.index import (
    box_sources,
    encoder_ways,
    feature_stores,
)
from detail_embed.fiftyone_bridge.index.delete import clear, unshared_features
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.runs.run import Progress, encode_words
from detail_embed.fusers import Fuser
from detail_embed.fusers.sample import FitSample
from detail_embed.space import EmbeddingSpace, fit_sample
from detail_embed.space.choose_fuser import (
    AUTO,
    FuserChoice,
    choose_fuser,
    counts_within,
    enough,
)
from detail_embed.space.embedding_space import make_global_space
from detail_embed.texts.text_cache import encode_vocabulary
from detail_embed.training import fit

FIT_IMAGES = 200
_FIT_PATCHES, MEASURED_PATCHES = 20_000, 40_000  # of these images, at most


@dataclass(frozen=True)
class Opened:
    """What a run embeds with.

    Attributes:
        space: makes the vectors that text is compared with
        single: makes one vector beside a few; None where there is none
        store: the patch features that there are, or shall be; None for none
        keep: how those of new images are kept: a type of a feature store, or False
        kept: a sentence about that; empty where the user said it
        windows: a sentence about windows that are left out; empty where none was asked
    """

    space: EmbeddingSpace
    single: EmbeddingSpace | None
    store: FeatureStore | None
    keep: bool | str
    kept: str
    windows: str = ""


def open_space(
    index: Index,
    samples: foc.SampleCollection,
    items: list[tuple[str, str]],
    settings: Settings,
    overwrite: bool,
) -> Generator[Progress, None, Opened]:
    """Loads the spaces of an index, or makes, fits and records new ones.

    Args:
        index: what is computed
        samples: the dataset or view
        items: ids and paths of its images
        settings: the space asked for
        overwrite: whether what is under the brain key is deleted first

    Raises:
        ValueError: if the fuser cannot be fitted on these images
    """
    yield Progress("Loading the model", 0.0)
    record = None if overwrite else index.record
    settings = encoder_ways.going_on(index.key, record, settings)
    backbone = settings.load_backbone()
    cut = fusers.create("mean", backbone.dim)
    windows = ""
    if record is not None:
        cut = zoo.load(record.space, backbone)
    else:
        cover, windows = yield from choose_cover(backbone, samples, items, settings)
        cut = EmbeddingSpace(backbone, cover, cut)
    keep, kept = feature_stores.choose(index, record, cut, settings, items)
    store = feature_stores.prepare(
        index.dataset, cut, keep, items, overwrite, settings.read_seconds
    )
    encoder_ways.leave_out_inexact(store, settings)
    ids = [id for id, _ in items]
    folder = None if store is None else str(store.directory)
    if record is None:
        main, single, choice = yield from _fusers(
            index, cut, samples, items, settings, store, bool(keep)
        )
        space = EmbeddingSpace(backbone, cut.cover, main)
        single = single and EmbeddingSpace(backbone, cut.cover, single)
        record = Record(
            space=zoo.publish(space),
            global_space=zoo.publish(make_global_space(backbone)),
            identity=settings.identity(),
            features=folder,
            card=choice and choice.to_dict(),
            single_space=single and zoo.publish(single),
            sources=True,
            frames=index.is_of_frames or None,
        )
        record = encoder_ways.with_way(record, backbone, store, ids)
        former = unshared_features(index)
        clear(index)
        index.write(record)
        feature_stores.tidy(index.dataset, former, store if keep else None)
        return Opened(space, single, store, keep, kept, windows)
    changed = replace(
        encoder_ways.with_way(
            encoder_ways.known_so_far(record), backbone, store, ids
        ),
        features=folder or record.features, identity=settings.identity(),
    )
    if changed != record:  # paths of files in records of older versions become hashes
        index.write(changed)
    single = record.single_space and zoo.load(record.single_space, backbone)
    return Opened(cut, single, store, keep, kept)


def _fusers(
    index: Index,
    cut: EmbeddingSpace,
    samples: foc.SampleCollection,
    items: list[tuple[str, str]],
    settings: Settings,
    store: FeatureStore | None,
    keeps: bool,
) -> Generator[Progress, None, tuple[Fuser, Fuser | None, FuserChoice | None]]:
    """Chooses and fits fusers on some images; on what is stored, if all of it is.

    Where features are kept, those of these images are stored first, so that none is
    encoded twice.

    Returns:
        that of the vectors for text; that of one vector beside a few; what was measured
    """
    backbone, choice = cut.backbone, None
    few = settings.make_few(cut.dim) if settings.makes_few else None
    single = None
    if settings.fuser != AUTO:
        single = settings.make_single(cut.dim, cut.patch_slug)
    unfitted = [f for f in (few, single) if f is not None and not f.is_fitted]
    if not (settings.measures or unfitted):
        return few or single, single if few else None, None
    words = vocabulary(settings, samples) if settings.needs_vocabulary else None
    if settings.measures:
        words = enough(words)
    if words is not None:
        yield from encode_words(backbone, words)
    chosen = fit_sample.draw(items, FIT_IMAGES)
    names = " and ".join(repr(fuser.name) for fuser in unfitted) or "the vectors"
    verb = "Measuring on" if settings.measures else f"Fitting {names} on"
    yield Progress(f"{verb} {len(chosen)} images", 0.0)
    readable = chosen
    if keeps:
        quiet = SkipLog(most=0)  # the embedding meets the same files again
        for step in store_missing(cut, store, chosen, settings, quiet):
            yield Progress(f"{verb} {step.text}", 0.0)
        readable = [item for item in chosen if item[0] in store]
    try:
        boxes = None
        if settings.patches_field is not None:
            boxes = box_sources.boxes(index, settings.patches_field, settings.padding)
        images, mask = _sample(cut, readable, settings, store, boxes)
        if settings.measures:
            counts = ()
            if settings.count == AUTO:
                counts = counts_within(settings.vector_bytes, cut.dim)
            choice = choose_fuser(backbone, images, mask, words, counts=counts)
            single, few = choice.fuser, few or choice.few
            yield Progress(choice.reason, 0.0)
        _fit(unfitted, backbone, images, mask, words and words.words)
    except ValueError as error:
        raise ValueError(
            f"{names} cannot be fitted on {len(chosen)} images: {error}. Pass other "
            "images, or choose vectors=1, fuser='mean'"
        ) from error
    return few or single, single if few else None, choice


def _sample(
    cut: EmbeddingSpace,
    chosen: list[tuple[str, str]],
    settings: Settings,
    store: FeatureStore | None,
    boxes: Boxes | None,
) -> tuple[Tensor, Tensor]:
    """Patch features of images; see :func:`.fit_sample.of_files`."""
    most = MEASURED_PATCHES if settings.measures else _FIT_PATCHES
    backbone, cover = cut.backbone, cut.cover
    ids, paths = zip(*chosen) if chosen else ((), ())
    if boxes is not None:
        return fit_sample.of_boxes(
            chosen, backbone, cover, most, boxes, store, settings
        )
    if store is not None and all(id in store for id in ids):
        return fit_sample.of_store(store, ids, most, backbone.device)
    return fit_sample.of_files(paths, backbone, cover, most, settings)


def _fit(
    unfitted: list[Fuser],
    backbone: Backbone,
    images: Tensor,
    mask: Tensor,
    words: Sequence[str] | None,
) -> None:
    texts = None if words is None else encode_vocabulary(backbone, words)
    for fuser in unfitted:
        fit(fuser, FitSample.of_images(images, mask, texts))
