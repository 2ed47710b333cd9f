"""The learned words of an index: texts are encoded by another model, no vector changes.

Its brain runs name the model by which FiftyOne encodes texts. With learned words it
is that of the same space with them, so that every search knows them, in any process.
The whole-image index beside it stays as it is: it shows what CLIP finds by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import fiftyone as fo
from fiftyone.core.brain import BrainMethod

from detail_embed.backbone import Backbone
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.runs.lock import RunLock
from detail_embed.fiftyone_bridge.samples.private_names import (
    forget_results,
    loaded_results,
)
from detail_embed.texts.text_adapter import TextAdapter


def keep(
    index: Index, backbone: Backbone, words: TextAdapter, facts: Mapping[str, Any]
) -> Record:
    """Gives an index learned words, in place of those it may have.

    Args:
        index: one of ours
        backbone: its backbone
        words: what moves its texts
        facts: what is known of them, as JSON values

    Returns:
        the new record

    Raises:
        ValueError: if the index is not ours, or a run writes to it
    """
    with RunLock(index.dataset, index.key, "learning words"):
        record = index.require("teach words")
        spaces = {
            space: zoo.publish(zoo.load(space, backbone).with_words(words))
            for space in _spaces(index, record)
        }
        record = replace(record, words={**facts, "spaces": spaces})
        index.write(record)
        _tell_runs(index, record)
    return record


def forget(index: Index) -> None:
    """Takes the learned words from an index: it is as it was before.

    Raises:
        ValueError: if the index is not ours, knows none, or a run writes to it
    """
    with RunLock(index.dataset, index.key, "forgetting words"):
        record = check_forget(index)
        record = replace(record, words=None)
        index.write(record)
        _tell_runs(index, record)


def check_forget(index: Index) -> Record:
    """Checks that an index knows learned words; returns its record.

    Raises:
        ValueError: if not
    """
    record = index.require("forget words")
    if record.words is None:
        raise ValueError(
            f"the index {index.key!r} knows no learned words, so there is nothing to "
            "undo"
        )
    return record


def forget_outdated(dataset: fo.Dataset) -> None:
    """Drops loaded brain runs whose words another process has learned or forgotten.

    FiftyOne keeps them loaded, so its own search would go on with the old model.
    """
    known = dataset.list_brain_runs()
    for key, results in loaded_results(dataset).items():
        model = getattr(results.config, "model", None)
        if isinstance(model, str) and key in known and (
            model != dataset.get_brain_info(key).config.model
        ):
            forget_results(dataset, key)


def without(index: Index, model: str) -> str:
    """The model of the vectors of an index, where ``model`` encodes its texts."""
    record, _ = index.find()
    if record is None or record.words is None:
        return model
    plain = {learned: space for space, learned in record.words["spaces"].items()}
    return plain.get(model, model)


def in_words(record: Record) -> str:
    """How many words an index has learned, and from what; empty for none."""
    if record.words is None:
        return ""
    words = record.words
    count = len(words["known"])
    noun = "learned word" if count == 1 else "learned words"
    found = f"mAP {words['before']:.1f} before, {words['after']:.1f} after"
    return f"{count:,} {noun}, from {words['source']}: on held-out images {found}"


def _spaces(index: Index, record: Record) -> list[str]:
    """The spaces of the vectors that texts with learned words are compared with."""
    boxes = record.global_space if index.owns_boxes else None
    return [*filter(None, [record.space, record.single_space, boxes])]


def _tell_runs(index: Index, record: Record) -> None:
    models = {index.key: record.space, index.single.key: record.single_space}
    if index.owns_boxes:
        models[index.boxes.key] = record.global_space
    dataset = index.dataset
    known = dataset.list_brain_runs()
    for key, space in models.items():
        if space is None or key not in known:
            continue
        config = dataset.get_brain_info(key).config
        config.model = record.text_space(space)
        BrainMethod.update_run_config(dataset, key, config)
        forget_results(dataset, key)  # in memory they know the old model
