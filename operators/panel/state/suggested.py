"""What the box of prompts offers: words while a person types, examples before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import fiftyone.operators as foo
from bson import ObjectId

from detail_embed.fiftyone_bridge.samples.private_names import brain_run_id

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.index import Index

_MOST = 1500  # words, which every event sends to the browser
_known: dict[ObjectId | None, Offers] = {}  # by brain run


@dataclass(frozen=True)
class Offers:
    """What is offered for an index.

    Attributes:
        words: recent searches, classes, what the model knows
        examples: searches to try
    """

    words: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)


def offers(ctx: foo.ExecutionContext, brain_key: str | None) -> Offers:
    """What is known by now; nothing is read here."""
    return _known.get(brain_run_id(ctx.dataset, brain_key), Offers())


def are_known(ctx: foo.ExecutionContext, brain_key: str | None) -> bool:
    """Whether the offers for an index were read; they may be none."""
    return brain_run_id(ctx.dataset, brain_key) in _known


def read(index: Index) -> None:
    """Reads what can be offered for an index: beside the panel, not in its events."""
    from detail_embed.fiftyone_bridge.evaluate import suggestions

    words, examples = suggestions.words(index), suggestions.examples(index)
    run = brain_run_id(index.dataset, index.key)
    _known[run] = Offers(words[:_MOST], examples)


def give_up(run: ObjectId) -> None:
    """Notes that nothing can be offered for the index of a brain run."""
    _known.setdefault(run, Offers())
