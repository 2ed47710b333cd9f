"""What a data set knows about its detail indexes.

The record is a FiftyOne custom run under the brain key. It is written before the
first vector, so that a run that was cut short is known too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import fiftyone as fo

from detail_embed.fiftyone_bridge.index import names
from detail_embed.fiftyone_bridge.index.names import (
    base_key,
    global_key,
)
from detail_embed.fusers.few_vectors import FewVectors

METHOD = "detail_embed"


@dataclass(frozen=True)
class Record:
    """The spaces and fields behind a brain key.

    Attributes:
        space: slug of the space of the detail vectors
        global_space: slug of the space of the whole-image vectors
        identity: the choices that made the space
        features: folder of the patch features that are kept, None for none
        card: what ``fuser="auto"`` chose and why, see
            :meth:`~detail_embed.space.choose_fuser.Choice.to_dict`; None for others
        has_global: whether whole-image vectors were asked for, too; None in records
            of older versions, which did not write it down
    """

    space: str
    global_space: str
    identity: dict[str, Any]
    features: str | None = None
    card: dict[str, Any] | None = None
    has_global: bool | None = False

    @property
    def vectors(self) -> int:
        """Vectors per image."""
        few = self.identity["fuser"] == FewVectors.name
        return self.identity["fuser_options"]["k"] if few else 1

    @property
    def fuser(self) -> str:
        """Name of the fuser, the chosen one if it was left open."""
        return self.card["fuser"] if self.card else self.identity["fuser"]

    @property
    def reason(self) -> str:
        """Why the fuser was chosen; empty if the user named it."""
        return self.card["reason"] if self.card else ""


def index_field(brain_key: str, record: Record) -> str:
    """Name of the field that the index of a record is on."""
    return names.index_field(brain_key, record.vectors > 1)


def read(dataset: fo.Dataset, brain_key: str) -> Record | None:
    """Reads the record of a brain key, None where there is none."""
    known = brain_key in dataset.list_runs(method=METHOD)
    return _read(dataset, brain_key) if known else None


def read_all(dataset: fo.Dataset) -> dict[str, Record]:
    """Reads the records of all brain keys."""
    return {key: _read(dataset, key) for key in dataset.list_runs(method=METHOD)}


def _read(dataset: fo.Dataset, brain_key: str) -> Record:
    config = dataset.get_run_info(brain_key).config
    return Record(
        config.space,
        config.global_space,
        _plain(config.identity),
        getattr(config, "features", None),  # records of older versions have none
        _plain(getattr(config, "card", None)),
        getattr(config, "has_global", None),
    )


def find(dataset: fo.Dataset, brain_key: str) -> tuple[Record | None, bool]:
    """Finds the record behind any of our indexes.

    Returns:
        the record, None where there is none, and whether the brain key is that of its
        whole-image index
    """
    own = read(dataset, brain_key)
    base = base_key(brain_key)
    if own is not None or base == brain_key:
        return own, False
    record = read(dataset, base)
    if record is None or not owns_global(dataset, base, record):
        return None, False
    return record, True


def write(dataset: fo.Dataset, brain_key: str, record: Record) -> None:
    """Writes the record of a brain key, in place of the one it has.

    That one is changed in one write: between its deletion and a new one a kill would
    leave vectors of an unknown space.
    """
    config = dataset.init_run(method=METHOD, **asdict(record))
    if brain_key in dataset.list_runs():
        dataset.update_run_config(brain_key, config)
    else:
        dataset.register_run(brain_key, config)


def claim_global(dataset: fo.Dataset, brain_key: str) -> None:
    """Writes down that the whole-image index beside a brain key belongs to it."""
    record = read(dataset, brain_key)
    if not record.has_global:
        write(dataset, brain_key, replace(record, has_global=True))


def owns_global(dataset: fo.Dataset, brain_key: str, record: Record) -> bool:
    """Whether what is under the global key was made along with the brain key."""
    key = global_key(brain_key)
    if key in dataset.list_runs():
        return False
    if key in dataset.list_brain_runs():
        model = getattr(dataset.get_brain_info(key).config, "model", None)
        return model == record.global_space
    return record.has_global is not False


def _plain(value: Any) -> Any:
    """Python's own dicts and lists instead of the database's."""
    return json.loads(json.dumps(value))


def require(dataset: fo.Dataset, brain_key: str, to: str) -> Record:
    """Finds the record of one of our detail indexes.

    Args:
        dataset: the data set
        brain_key: of the index
        to: what is to be done to it, for the message

    Raises:
        ValueError: if the index is another's, or the whole-image index beside ours
    """
    record, is_whole = find(dataset, brain_key)
    if is_whole:
        raise ValueError(
            f"{brain_key!r} holds the whole-image vectors of "
            f"{names.base_key(brain_key)!r}: {to} that, and both are done"
        )
    if record is None:
        ours = [*read_all(dataset)]
        choice = f"choose one of {ours}" if ours else "compute one first"
        raise ValueError(
            f"brain key {brain_key!r} is no index of detail-embed, so there is nothing "
            f"to {to}; {choice}"
        )
    return record


def has_whole(dataset: fo.Dataset, brain_key: str, record: Record) -> bool:
    """Whether an index of whole images is, or was begun, beside one of ours."""
    key = names.global_key(brain_key)
    is_there = key in dataset.list_brain_runs() or dataset.has_field(
        names.vector_field(key)
    )
    return is_there and owns_global(dataset, brain_key, record)


def keys(dataset: fo.Dataset, brain_key: str, record: Record) -> list[str]:
    """The brain keys of an index and of the whole-image index beside it."""
    whole = names.global_key(brain_key)
    owned = owns_global(dataset, brain_key, record)
    return [brain_key, whole] if owned else [brain_key]


def fields(brain_key: str, record: Record, known: list[str]) -> list[str]:
    """The fields of an index; they need not exist.

    Args:
        brain_key: of the index
        record: of the index
        known: its :func:`keys`
    """
    return [
        index_field(brain_key, record),
        names.error_field(brain_key),
        *map(names.vector_field, known[1:]),
    ]
