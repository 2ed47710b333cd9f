"""What the box of prompts offers: words while a person types, examples before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import fiftyone.operators as foo

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.index import Index

_MOST = 500  # words, which every event sends to the browser
_known: dict[tuple[str, str], Offers] = {}


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
    return _known.get((ctx.dataset.name, brain_key), Offers())


def read(index: Index) -> None:
    """Reads what can be offered for an index: beside the panel, not in its events."""
    from detail_embed.fiftyone_bridge.evaluate import suggestions

    words, examples = suggestions.words(index), suggestions.examples(index)
    _known[index.dataset.name, index.key] = Offers(words[:_MOST], examples)
