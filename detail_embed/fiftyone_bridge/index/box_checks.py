"""Whether the boxes of a label field can be patches."""

from __future__ import annotations

from dataclasses import replace

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.media as fom
from bson import ObjectId

from detail_embed.cover.complete_cover import NO_COVER
from detail_embed.cover.squares import check_padding
from detail_embed.fiftyone_bridge.index import names
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.label_fields import label_fields
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples import box_labels
from detail_embed.fiftyone_bridge.samples.app_defaults import is_ours
from detail_embed.fiftyone_bridge.samples.frames import (
    Home,
    documents_of,
    label_path,
)
from detail_embed.fiftyone_bridge.samples.images import label_field_of
from detail_embed.fiftyone_bridge.samples.private_names import is_patches

_DELETES = {False: "delete_sample_field", True: "delete_frame_field"}
_AT_ONCE = 10_000  # images: a question to the database has 16 MB at most
_SINGLE = {fo.Detection: "detections", fo.Polyline: "polylines"}


def asked_by(
    index: Index, samples: foc.SampleCollection, settings: Settings
) -> Settings:
    """The settings that samples ask for: those of patches, with the boxes they are of.

    An index that exists without boxes stays so.
    """
    record = index.record
    has_none = record is not None and record.box_field is None
    if settings.patches_field is not None or has_none or not is_patches(samples):
        return settings
    return replace(settings, patches_field=label_field_of(samples))


def check_boxes(
    index: Index, samples: foc.SampleCollection, settings: Settings, overwrite: bool
) -> None:
    """Checks the label field whose boxes are asked for.

    Args:
        index: the index; it need not exist
        samples: the images
        settings: the space asked for
        overwrite: whether what is under the brain key is deleted first

    Raises:
        ValueError: naming what cannot be used and what to do
    """
    check_padding(settings.padding)
    field = settings.patches_field
    if field is None:
        if settings.cover == NO_COVER:
            raise ValueError(
                "cover='none' leaves the whole image alone: name the label field whose "
                "boxes are its patches, patches_field='ground_truth', or choose a "
                "cover of 1 to 15"
            )
        return
    _check_kind(index, field)
    record = None if overwrite else index.record
    if record is not None:
        return
    _check_some(index, samples, field)
    labels = label_path(index.home, field)
    own = index.box_fields
    for name in (names.box_vector(index.key), names.box_error(index.key)):
        path = f"{labels}.{name}"
        if index.home.has_field(path) and path not in own:
            raise ValueError(
                f"the labels have {path!r} already and no detail index is known under "
                f"{index.key!r}; choose another brain key or delete it with "
                f"dataset.{_DELETES[index.is_of_frames]}({path!r})"
            )


def _check_kind(index: Index, field: str) -> None:
    home = index.home
    known = label_fields(home, box_labels.KINDS)
    choice = f"give one of {known}" if known else "it has none, so add boxes first"
    if not home.has_field(field):
        whose = "the frames of " if index.is_of_frames else "the dataset "
        raise ValueError(
            f"patches_field={field!r}: {whose}{home.name!r} "
            f"{'have' if index.is_of_frames else 'has'} no such field. "
            f"Of those of Detections or Polylines, {choice}"
        )
    if field == index.patches_field or is_ours(home.get_field(field)):
        raise ValueError(
            f"patches_field={field!r} is a field that detail-embed made: of those of "
            f"Detections or Polylines of others, {choice}"
        )
    if (kind := _kind(home, field)) in _SINGLE:
        raise ValueError(
            f"patches_field={field!r} holds one {kind.__name__} an image, of which "
            "FiftyOne makes neither patches nor an index. Copy them into lists, "
            f"{_in_lists(field, kind, index.is_of_frames)}, and give "
            f"patches_field='{field}s'"
        )
    if field not in known:
        raise ValueError(
            f"patches_field={field!r} holds {kind.__name__}, which are no lists of "
            f"boxes: of the fields of Detections or Polylines, {choice}"
        )


def _in_lists(field: str, kind: type, of_frames: bool) -> str:
    """What copies the labels of a field into lists."""
    one = f"fo.{kind.__name__}s({_SINGLE[kind]}=[label]) if label else None"
    if not of_frames:
        made = f"[{one} for label in dataset.values({field!r})]"
        return f"dataset.set_values('{field}s', {made})"
    made = f"[[{one} for label in some] for some in dataset.values('frames.{field}')]"
    return (
        f"dataset.set_values('frames.{field}s', {made}), make the view of frames anew"
    )


def _kind(home: Home, field: str) -> type:
    """What a field holds: labels, or values."""
    found = home.get_field(field)
    return getattr(found, "document_type", None) or type(found)


def _check_some(index: Index, samples: foc.SampleCollection, field: str) -> None:
    if not _have_some(index, samples, field):
        raise ValueError(
            f"patches_field={field!r}: none of these images has a label there, so "
            f"there are no boxes. {_other_slices(index, field)}Take other images, or "
            "another field"
        )


def _have_some(index: Index, samples: foc.SampleCollection, field: str) -> bool:
    has_one = {f"{label_path(index.home, field)}.0": {"$exists": True}}
    documents = documents_of(index.home)
    for start in range(0, len(samples), _AT_ONCE):
        ids = samples[start : start + _AT_ONCE].values("id")
        some = [ObjectId(id) for id in ids]
        if documents.find_one({"_id": {"$in": some}, **has_one}, {"_id": 1}):
            return True
    return False


def _other_slices(index: Index, field: str) -> str:
    """Where a dataset of groups has boxes, as a sentence; empty for no such place."""
    dataset = index.dataset
    found = [
        name for name, kind in (dataset.group_media_types or {}).items()
        if kind == fom.IMAGE
        and _have_some(index, dataset.select_group_slices(name), field)
    ]
    if not found:
        return ""
    return (
        f"Images of the slices {found} have some: choose one by dataset.group_slice = "
        f"{found[0]!r}, or give dataset.select_group_slices({found[0]!r}). "
    )
