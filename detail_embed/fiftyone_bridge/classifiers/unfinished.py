"""Says of a field that it is being written, so that a killed run can be done again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import fiftyone as fo

from detail_embed.fiftyone_bridge.runs import processes

_WRITER = "detail_embed_writer"  # in the field's info


@contextmanager
def being_written(dataset: fo.Dataset, field: str) -> Iterator[None]:
    """Marks a field with this process, until all is written.

    The mark of a process that is killed stays; where writing stops with an error, the
    mark says that nobody writes any more.
    """
    _mark(dataset, field, processes.this_process())
    try:
        yield
    except BaseException:
        _mark(dataset, field, {})
        raise
    _mark(dataset, field, None)


def is_cut_short(field: fo.Field) -> bool:
    """Whether who wrote a field was stopped, so that its labels are but a part."""
    writer = (field.info or {}).get(_WRITER)
    if not writer:
        return writer is not None
    is_here = list(writer["place"]) == processes.place()
    return is_here and processes.is_gone(writer["pid"], writer["born"])


def _mark(dataset: fo.Dataset, name: str, writer: dict | None) -> None:
    field = dataset.get_field(name)
    info = {key: value for key, value in (field.info or {}).items() if key != _WRITER}
    field.info = info if writer is None else {**info, _WRITER: writer}
    field.save()
