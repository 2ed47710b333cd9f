"""Deleting what detail-embed made under a brain key, and nothing else."""

from __future__ import annotations

import fiftyone as fo

from . import feature_stores, records


def delete(dataset: fo.Dataset, brain_key: str) -> None:
    """Deletes the indexes under a brain key, their vectors and their record.

    Only what detail-embed made; without a record nothing is touched. Patch features
    that no other brain key of the data set uses are deleted, too. The zoo keeps the
    spaces: other data sets may use them.
    """
    record = records.read(dataset, brain_key)
    clear(dataset, brain_key)
    rest = records.read_all(dataset).values()
    if record is not None and record.features not in {r.features for r in rest}:
        feature_stores.delete(dataset, record.features)


def clear(dataset: fo.Dataset, brain_key: str) -> None:
    """Deletes all but the patch features; see :func:`delete`."""
    record = records.read(dataset, brain_key)
    if record is None:
        return
    keys = [brain_key]
    fields = [records.index_field(brain_key, record), records.error_field(brain_key)]
    if records.owns_global(dataset, brain_key, record):
        keys.append(records.global_key(brain_key))
        fields.append(records.vector_field(keys[-1]))
    for key in keys:
        if key in dataset.list_brain_runs():
            dataset.delete_brain_run(key)
    for field in fields:
        if dataset.has_field(field):
            dataset.delete_sample_field(field)
    dataset.delete_run(brain_key)
