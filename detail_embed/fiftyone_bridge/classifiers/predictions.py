"""What a classifier says, written to a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from detail_embed.classifiers.calibration import probabilities
from detail_embed.fiftyone_bridge.classifiers.targets import BOX, Item
from detail_embed.fiftyone_bridge.classifiers.unfinished import (
    being_written,
    is_cut_short,
)
from detail_embed.fiftyone_bridge.index import names
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples.collection import with_fields
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

_BATCH = 1000
_INFO = {"predicted_by": "detail_embed.classifiers"}  # in fields of nobody's labels
_LIKELY = 0.5  # probability of a class that an image is said to have


def kind_of(unit: str, several: bool) -> type[fo.Label]:
    """What a field of predictions holds."""
    if unit == BOX:
        return fo.Detections
    return fo.Classifications if several else fo.Classification


def is_prediction(field: fo.Field) -> bool:
    """Whether a classifier of ours made a field, so that nobody's labels are in it."""
    return (field.info or {}).items() >= _INFO.items()


def check_flag(name: str, value: object) -> None:
    """Checks that an argument is true or false: the text "no" would count as true.

    Raises:
        ValueError: if it is neither
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}={value!r:.80}: give True or False")


def check_target(
    samples: foc.SampleCollection, field: str, kind: type[fo.Label], overwrite: bool
) -> None:
    """Checks that predictions can be written to a field.

    Raises:
        ValueError: if it is another kind of field, or has values that are to stay
    """
    check_flag("overwrite", overwrite)
    names.check_brain_key(field, "field")
    samples = with_fields(samples, field)
    if not samples.has_field(field):
        return
    found = samples.get_field(field)
    held = getattr(found, "document_type", type(found))
    if held is not kind:
        raise ValueError(
            f"the field {field!r} holds {held.__name__}, not {kind.__name__}; choose "
            "another field"
        )
    if overwrite or is_cut_short(found):
        return
    if count := samples.exists(field).count():
        raise ValueError(
            f"the field {field!r} has labels for {count} of these images; choose "
            "another field, or overwrite=True"
        )


def write(
    samples: foc.SampleCollection,
    field: str,
    classes: Sequence[str],
    items: Sequence[Item],
    scores: np.ndarray,
    unit: str,
    several: bool,
) -> Generator[Progress, None, dict[str, int]]:
    """Writes labels, with probabilities and logits, and nothing to other images.

    Args:
        samples: whose former labels are taken away
        field: made where missing
        classes: K names
        items: ``n`` images or boxes
        scores: ``(n, K)`` calibrated logits
        unit: what the items are
        several: whether an image may have several classes: those are written that are
            more likely than not

    Returns:
        how many images or boxes have each class now
    """
    dataset = dataset_of(samples)
    kind = kind_of(unit, several)
    if not dataset.has_field(field):
        dataset.add_sample_field(
            field, fo.EmbeddedDocumentField, embedded_doc_type=kind, info=_INFO
        )
    counts = Counter()
    by_sample: dict[str, list[int]] = {}
    for row, item in enumerate(items):
        by_sample.setdefault(item.sample_id, []).append(row)
    ids = list(by_sample)
    with being_written(dataset, field):
        with_fields(samples, field).clear_sample_field(field)
        for start in range(0, len(ids), _BATCH):
            yield Progress(f"Writing labels: {start} of {len(ids)}", start / len(ids))
            part = {}
            for id in ids[start : start + _BATCH]:
                rows = by_sample[id]
                some = [items[row] for row in rows]
                labels = _labels(classes, some, scores[rows], several)
                counts.update(label.label for label in labels)
                part[id] = _value(kind, labels)
            dataset.set_values(field, part, key_field="id", dynamic=True)
    return {name: counts[name] for name in classes}


def _labels(
    classes: Sequence[str], items: Sequence[Item], scores: np.ndarray, several: bool
) -> list[fo.Label]:
    shares = probabilities(scores, several)
    if several:
        (row,) = shares
        likely = [n for n in np.argsort(-row, kind="stable") if row[n] >= _LIKELY]
        return [
            fo.Classification(label=classes[n], confidence=float(row[n]))
            for n in likely
        ]
    found = []
    for item, row, logits in zip(items, shares, scores):
        best = int(row.argmax())
        values = {
            "label": classes[best],
            "confidence": float(row[best]),
            "logits": logits.astype(np.float32),
        }
        is_box = item.box is not None
        found.append(
            fo.Detection(bounding_box=list(item.box), **values)
            if is_box else fo.Classification(**values)
        )
    return found


def _value(kind: type[fo.Label], labels: list[fo.Label]) -> fo.Label:
    if kind is fo.Detections:
        return fo.Detections(detections=labels)
    if kind is fo.Classifications:
        return fo.Classifications(classifications=labels)
    return labels[0]
