"""What a dataset knows about its detail indexes.

The record is a FiftyOne custom run under the brain key. It is written before the
first vector, so that a run that was cut short is known too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import fiftyone as fo

from detail_embed.cover.cover_settings import CROPS
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.space.choose_fuser import AUTO

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
            :meth:`~detail_embed.space.choose_fuser.FuserChoice.to_dict`, None of others
        has_global: whether whole-image vectors were asked for, too; None in records
            of older versions, which did not write it down
        single_space: slug of the space of the one vector per image that is beside a
            few; None where there is none
        lines: where "probably not" begins, see :mod:`.lines`; None where nobody knows
        sources: whether it is written beside every vector what it was made of, see
            :mod:`.provenance`; None in records of older versions
        frames: whether it is of the frames of videos; None for False
        ways: how its images were encoded, see :mod:`.encoder_ways`; None in records of
            older versions
        words: the learned words by which texts are moved, see :mod:`.learned_words`;
            None for none
    """

    space: str
    global_space: str
    identity: dict[str, Any]
    features: str | None = None
    card: dict[str, Any] | None = None
    has_global: bool | None = False
    single_space: str | None = None
    lines: dict[str, Any] | None = None
    sources: bool | None = None
    frames: bool | None = None
    ways: list[dict[str, Any]] | None = None
    words: dict[str, Any] | None = None

    def text_space(self, space: str) -> str:
        """The space that texts are encoded in, for vectors of a space of the index.

        The same one, or the same with learned words.
        """
        return space if self.words is None else self.words["spaces"].get(space, space)

    @property
    def vectors(self) -> int:
        """Vectors per image, the chosen number if it was left open."""
        asked = self.identity["vectors"]
        return self.card["vectors"] if asked == AUTO else asked

    @property
    def box_field(self) -> str | None:
        """The label field whose boxes are patches, too; None where there is none."""
        return self.identity.get("patches_field")

    def without_boxes(self) -> Record:
        """The same of an index of images alone."""
        rest = {k: v for k, v in self.identity.items() if k != "padding"}
        return replace(self, identity={**rest, "patches_field": None})

    @property
    def fuser(self) -> str:
        """What makes the vectors that text finds; what was chosen if it was open."""
        if self.vectors > 1:
            return FewVectors.name
        return self.single_fuser

    @property
    def single_fuser(self) -> str:
        """What makes one vector per image; what was chosen if it was open."""
        return self.card["fuser"] if self.card else self.identity["fuser"]

    @property
    def reason(self) -> str:
        """Why the fuser was chosen; empty if the user named it."""
        return self.card["reason"] if self.card else ""


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
        _complete(_plain(config.identity)),
        getattr(config, "features", None),  # records of older versions have none
        _plain(getattr(config, "card", None)),
        getattr(config, "has_global", None),
        getattr(config, "single_space", None),
        _plain(getattr(config, "lines", None)),
        getattr(config, "sources", None),
        getattr(config, "frames", None),
        _plain(getattr(config, "ways", None)),
        _plain(getattr(config, "words", None)),
    )


def _complete(identity: dict[str, Any]) -> dict[str, Any]:
    """An identity of an older version as it is written today."""
    identity = {"features": CROPS} | identity
    if "vectors" in identity:
        return identity
    options = dict(identity["fuser_options"])
    ours = {"vectors": 1, "vectors_by": "kmeans", "fuser": identity["fuser"]}
    if identity["fuser"] == FewVectors.name:
        ours = {"vectors": options.pop("k"), "vectors_by": options.pop("method")}
        ours["fuser"] = AUTO
    return {"skip_flat": False} | identity | ours | {"fuser_options": options}


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


def _plain(value: Any) -> Any:
    """Python's own dicts and lists instead of the database's."""
    return json.loads(json.dumps(value))
