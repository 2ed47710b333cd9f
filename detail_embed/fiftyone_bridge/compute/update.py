"""Embedding what an index lacks, with the settings it was made with."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import fiftyone.core.collections as foc

from detail_embed.backbone import checkpoint_names
from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index import feature_stores
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.runs.run import Run
from detail_embed.fiftyone_bridge.samples.collection import ids_with
from detail_embed.space.space_file import read_config


def update(
    index: Index,
    samples: foc.SampleCollection,
    pretrained: str | Path | None = None,
    options: EncodeOptions = DEFAULT,
) -> Run:
    """Embeds the images that an index lacks, in its own space, and indexes them.

    All else is as it was when the index was computed: backbone, cover, fuser, words,
    vectors per image, whole-image vectors, patch features. Images that failed are
    tried again. Patch features of new images are kept if most images of the index
    have them.

    Args:
        index: an index of ours; one that was cut short is finished
        samples: a dataset or view of images
        pretrained (None): where the checkpoint file lies now, if it was moved
        options (DEFAULT): how files are encoded, and where

    Returns:
        a :class:`Run`, whose result is that of :func:`.compute_index.compute`

    Raises:
        ValueError: if the index is not ours, the samples cannot be used, or the
            checkpoint file is gone
    """
    settings = _settings(index, pretrained, options)
    return compute_index.compute(index, samples, settings, also_global=index.has_whole)


def check_update(
    index: Index, samples: foc.SampleCollection, pretrained: str | Path | None = None
) -> None:
    """Checks what can be checked before a run; see :func:`update`.

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    settings = _settings(index, pretrained)
    compute_index.check_compute(index, samples, settings, also_global=index.has_whole)


def _settings(
    index: Index,
    pretrained: str | Path | None = None,
    options: EncodeOptions = DEFAULT,
) -> Settings:
    """The settings that an index was computed with.

    Raises:
        ValueError: if the index is not ours, or its checkpoint file is gone
    """
    record = index.require("update")
    settings = Settings.from_identity(
        record.identity,
        keep_features=_kept(index, record),
        allow_random_weights=True,  # the space has the hash of those it was made with
        **asdict(options),
    )
    weights = str(pretrained) if pretrained else _locate(record)
    return replace(settings, pretrained=weights)


def _locate(record: Record) -> str | None:
    """The weights by their tag, or the path where their file was last seen.

    Raises:
        ValueError: if it is not there any more, or another file
    """
    named = record.identity["pretrained"]
    if not checkpoint_names.is_file(named):
        return named
    path = named if os.path.isabs(named) else _last_seen(record)
    if path and os.path.isfile(path):
        if checkpoint_names.may_be_same(named, checkpoint_names.identify(path)):
            return path
    raise ValueError(
        f"the checkpoint {checkpoint_names.short(named)} of the index is not where it "
        f"was ({path}): pass pretrained=<where it lies now>"
    )


def _last_seen(record: Record) -> str | None:
    if not zoo.is_published(record.space):
        return None
    directory = zoo.space_directory(record.space)
    return read_config(directory)["backbone"]["pretrained"]


def _kept(index: Index, record: Record) -> bool | str:
    """How new patch features are kept: as those of most images are, or not at all."""
    if record.features is None:
        return False
    store = feature_stores.find(index.dataset, Path(record.features).name)
    if store is None:
        return False
    done = ids_with(index.home, index.field)
    held = sum(id in store for id in done)
    return store.dtype if 2 * held >= len(done) else False
