"""Which windows show enough to be encoded, measured once for an index."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

import fiftyone.core.collections as foc

from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.complete_cover import NO_COVER
from detail_embed.fiftyone_bridge.compute.vocabulary import vocabulary
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs.run import Progress, encode_words
from detail_embed.space import fit_sample, flat_limit
from detail_embed.space.choose_fuser import AUTO, enough
from detail_embed.space.flat_limit import FlatLimit

SAMPLE = 200
MIN_IMAGES = 1000  # of fewer, to encode all windows takes no longer than to measure


def choose_cover(
    backbone: Backbone, samples: foc.SampleCollection,
    items: Sequence[tuple[str, str]], settings: Settings,
) -> Generator[Progress, None, tuple[CompleteCover, str]]:
    """The windows of new images, and a sentence about those that are left out.

    Args:
        backbone: the model
        samples: the dataset or view
        items: ids and paths of its images
        settings: say whether something is measured

    Raises:
        ValueError: if no image of the sample can be read
    """
    cover = settings.make_cover()
    if settings.skip_flat != AUTO or cover.c == NO_COVER:
        return cover, ""
    if len(items) < MIN_IMAGES:
        limit = FlatLimit(
            0, why=f"it takes {MIN_IMAGES:,} images to save time, not {len(items):,}"
        )
    else:
        limit = yield from _measure(backbone, samples, items, settings, cover)
    yield Progress(limit.sentence, 0.0)
    return replace(cover, skip_flat=limit.levels or False), limit.sentence


def _measure(
    backbone: Backbone, samples: foc.SampleCollection,
    items: Sequence[tuple[str, str]], settings: Settings, cover: CompleteCover,
) -> Generator[Progress, None, FlatLimit]:
    words, held_out = enough(vocabulary(settings, samples)).split()
    texts = yield from encode_words(backbone, words)
    others = yield from encode_words(backbone, held_out)
    paths = [path for _, path in fit_sample.draw(items, SAMPLE)]
    text, images = f"Measuring windows on {len(paths)} images", []
    yield Progress(text, 0.0)
    with closing(flat_limit.windows_of(paths, backbone, cover, settings)) as found:
        for image in found:
            images.append(image)
            yield Progress(text, len(images) / len(paths))
    return flat_limit.fit_limit(flat_limit.Sampled.of(images), texts, others)
