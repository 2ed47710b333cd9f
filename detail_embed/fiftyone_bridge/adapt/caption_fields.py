"""The fields of a dataset that hold captions."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.samples.app_defaults import is_ours
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of

_NO_CAPTIONS = ("id", "filepath", "tags", "media_type")


def caption_fields(samples: foc.SampleCollection) -> list[str]:
    """Names of the fields of texts, sorted; what we made is none."""
    schema = dataset_of(samples).get_field_schema()
    return sorted(
        name for name, field in schema.items()
        if _is_text(field) and name not in _NO_CAPTIONS and not is_ours(field)
    )


def read_captions(samples: foc.SampleCollection, field: str) -> dict[str, str]:
    """The captions of images by their ids; images without one are left out.

    A list of captions is read as one text.

    Raises:
        ValueError: if the field holds none, or all are equal
    """
    fields = caption_fields(samples)
    if field not in fields:
        choice = f"choose one of {fields}" if fields else "this dataset has none"
        raise ValueError(
            f"field={field!r} is no field of texts, where captions could be; {choice}"
        )
    captions = {}
    for id, value in zip(*samples.values(["id", field])):
        text = ". ".join(filter(None, value)) if isinstance(value, list) else value
        if text and text.strip():
            captions[id] = text
    if not captions:
        raise ValueError(
            f"field={field!r} holds no caption for these images: fill it, or choose "
            "another field"
        )
    if len(captions) > 1 and len(set(captions.values())) == 1:
        raise ValueError(
            f"field={field!r}: all {len(captions)} captions are equal, so they tell no "
            "image from another: choose another field"
        )
    return captions


def _is_text(field: fo.Field) -> bool:
    inner = field.field if isinstance(field, fo.ListField) else field
    return isinstance(inner, fo.StringField)
