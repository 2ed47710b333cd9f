"""The fields of an index, and what is written to them of an image."""

from __future__ import annotations

from collections.abc import Iterable

import fiftyone as fo

from detail_embed.fiftyone_bridge.index import provenance
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import patch_detections
from detail_embed.fiftyone_bridge.samples.app_defaults import fold, prepare
from detail_embed.fiftyone_bridge.samples.collection import declare as add_fields
from detail_embed.fiftyone_bridge.samples.frames import Home
from detail_embed.fiftyone_bridge.samples.sink import SINGLE, VECTORS, WHOLE, Column


def columns_of(index: Index, also_global: bool, single: bool) -> dict[str, Column]:
    """Says what is written of an image, by field.

    Args:
        index: one of ours, with a record
        also_global: whether its whole-image vector is written, too
        single: whether one vector is, beside a few
    """
    record = index.record
    few = record.vectors > 1
    columns = {index.vector_field: VECTORS}
    if few:
        columns = {index.patches_field: patch_detections.detections}
        if single:
            columns[index.vector_field] = SINGLE
    columns[index.source_field] = provenance.column(record.space, few)
    return columns | ({index.whole.vector_field: WHOLE} if also_global else {})


def declare(index: Index, fields: Iterable[str], home: Home) -> None:
    """Adds fields of an index that are not there yet.

    Args:
        index: the index; a whole-image index beside it is claimed with its field
        fields: their names, such as those of :func:`columns_of`, and the path of the
            attribute for vectors of boxes
        home: where its images are, see :meth:`.index.Index.home_of`
    """
    prepare(home)
    for name in fields:
        if name == index.whole.vector_field:
            index.claim_whole()
        if name == index.source_field:
            _declare_source(home, name)
            continue
        if "." in name:
            add_fields(home, [name], fo.VectorField)
            continue
        is_few = name == index.patches_field
        patch_detections.declare_vectors(home, name, is_few)


def _declare_source(home: Home, field: str) -> None:
    if not home.has_field(field):
        add_fields(home, [field], fo.DictField)
        fold(home, field)
