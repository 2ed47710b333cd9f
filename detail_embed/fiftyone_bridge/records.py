"""What a data set knows about its detail indexes.

The record is a FiftyOne custom run under the brain key. It is written before the
first vector, so that a run that was cut short is known too.
"""

from __future__ import annotations

import json
import keyword
from dataclasses import asdict, dataclass, replace
from typing import Any

import fiftyone as fo

from ..few_vectors import FewVectors
from . import checkpoints

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
            :meth:`detail_embed.choice.Choice.to_dict`; None for other fusers
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


def check_brain_key(brain_key: str, what: str = "brain key") -> None:
    """Checks that a text can be a brain key and the start of field names.

    Args:
        brain_key: the text
        what ("brain key"): what it is called in the message

    Raises:
        ValueError: if it cannot
    """
    if (
        not isinstance(brain_key, str)
        or not brain_key.isidentifier()
        or keyword.iskeyword(brain_key)
        or brain_key.startswith("_")
    ):
        raise ValueError(
            f"{what} {brain_key!r}: use letters, digits and '_', starting with a "
            "letter"
        )


def vector_field(brain_key: str) -> str:
    """Name of the field that holds the vectors of an index."""
    return f"{brain_key}_embedding"


def patches_field(brain_key: str) -> str:
    """Name of the field of Detections that hold k vectors per image."""
    return f"{brain_key}_patches"


def index_field(brain_key: str, record: Record) -> str:
    """Name of the field that the index of a record is on."""
    few = record.vectors > 1
    return patches_field(brain_key) if few else vector_field(brain_key)


def error_field(brain_key: str) -> str:
    """Name of the field that says why an image has no vector."""
    return f"{brain_key}_error"


def global_key(brain_key: str) -> str:
    """Brain key of the whole-image index beside a detail index."""
    return f"{brain_key}_global"


def base_key(brain_key: str) -> str:
    """Brain key of the detail index beside a whole-image index."""
    return brain_key.removesuffix(global_key(""))


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


def check(
    dataset: fo.Dataset,
    brain_key: str,
    identity: dict[str, Any],
    overwrite: bool = False,
    also_global: bool = False,
) -> None:
    """Checks that an index can be computed, or continued, under a brain key.

    Args:
        dataset: the data set
        brain_key: the key asked for
        identity: the choices asked for, see :meth:`.settings.Settings.identity`
        overwrite (False): whether what is ours under the key will be deleted
        also_global (False): whether whole-image vectors are asked for, too

    Raises:
        ValueError: if the key cannot be used, belongs to something else, or holds
            an index in another space
    """
    check_brain_key(brain_key)
    record = read(dataset, brain_key)
    if record is None:
        check_free(dataset, brain_key)
        return
    if also_global:
        _check_global(dataset, brain_key, record)
    if not overwrite:
        _check_same_space(brain_key, record, identity)
        return
    ours = index_field(brain_key, record)
    for field in (vector_field(brain_key), patches_field(brain_key)):
        if field != ours:
            _check_free_field(dataset, brain_key, field)


def check_free(dataset: fo.Dataset, brain_key: str) -> None:
    """Checks that everything under a brain key, and beside it, is free.

    Raises:
        ValueError: if a run or a field has it
    """
    is_there = brain_key in dataset.list_brain_runs() or dataset.has_field(
        vector_field(brain_key)
    )
    _, is_global = find(dataset, brain_key)
    if is_there and is_global:
        base = base_key(brain_key)
        raise ValueError(
            f"brain key {brain_key!r} holds the vectors of whole images that belong to "
            f"{base!r}; choose another brain key"
        )
    for key in (brain_key, global_key(brain_key)):
        if key in dataset.list_brain_runs() or key in dataset.list_runs():
            raise ValueError(
                f"brain key {key!r} belongs to another run of this data set; choose "
                "another brain key"
            )
    for name in (vector_field, patches_field, error_field):
        _check_free_field(dataset, brain_key, name(brain_key))
    whole = global_key(brain_key)
    _check_free_field(dataset, whole, vector_field(whole))


def _check_global(dataset: fo.Dataset, brain_key: str, record: Record) -> None:
    """Checks that whole-image vectors can be put beside an index that exists."""
    key = global_key(brain_key)
    if owns_global(dataset, brain_key, record):
        return
    if key in dataset.list_runs() or key in dataset.list_brain_runs():
        raise ValueError(
            f"the whole-image vectors of {brain_key!r} would go to {key!r}, which is "
            "an index of its own; leave also_global out, or choose another brain key"
        )
    _check_free_field(dataset, key, vector_field(key))


def _check_free_field(dataset: fo.Dataset, key: str, field: str) -> None:
    if dataset.has_field(field):
        raise ValueError(
            f"field {field!r} exists and no detail index is known under {key!r}; "
            "choose another brain key or delete the field"
        )


def _check_same_space(brain_key: str, record: Record, identity: dict[str, Any]) -> None:
    had = {"skip_flat": False} | record.identity  # older records do not have it
    changed = [name for name, value in identity.items() if had.get(name) != value]
    if checkpoints.may_be_same(had.get("pretrained"), identity["pretrained"]):
        changed = [name for name in changed if name != "pretrained"]
    if changed:
        wanted = ", ".join(f"{name}={_short(identity[name])}" for name in changed)
        others = ", ".join(f"{name}={_short(had.get(name))}" for name in changed)
        raise ValueError(
            f"brain key {brain_key!r} holds vectors of the space {record.space} "
            f"({others}); {_name(identity)} ({wanted}) is another space, and their "
            "vectors cannot be compared. Choose another brain key, or start over "
            "with overwrite=True"
        )


def _name(identity: dict[str, Any]) -> str:
    parts = (
        identity["backbone"],
        checkpoints.short(identity["pretrained"]),
        f"cc{identity['cover']}",
        identity["spacing"],
        identity["fuser"],
    )
    return "-".join(str(part) for part in parts if part)


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"[{', '.join(value[:3])}, ... {len(value)} words]"
    return repr(checkpoints.short(value) if isinstance(value, str) else value)


def _plain(value: Any) -> Any:
    """Python's own dicts and lists instead of the database's."""
    return json.loads(json.dumps(value))
