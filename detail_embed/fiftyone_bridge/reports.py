"""The newest long-tail report of a data set, kept with it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo

from .long_tail import LongTail

STORE = "detail_embed_reports"
_NEWEST = "long_tail"


def keep(dataset: fo.Dataset, brain_key: str, report: LongTail) -> None:
    """Keeps a report instead of the one before."""
    _store(dataset).set(_NEWEST, {"brain_key": brain_key} | asdict(report))


def read(dataset: fo.Dataset) -> dict[str, Any] | None:
    """Reads the report: the fields of a LongTail, and brain_key; None for none."""
    return _store(dataset).get(_NEWEST)


def _store(dataset: fo.Dataset) -> foo.ExecutionStore:
    return foo.ExecutionStore.create(STORE, dataset._doc.id)
