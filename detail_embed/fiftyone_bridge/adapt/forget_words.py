"""Undoes the learning of words: texts mean to an index what they meant before."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from detail_embed.fiftyone_bridge.index import learned_words
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.runs.run import Progress, Run


@dataclass(frozen=True)
class Forgotten:
    """What an index does not know any more.

    Attributes:
        brain_key: of the index
        words: how many
    """

    brain_key: str
    words: int


def forget(index: Index) -> Run:
    """Takes the learned words from an index.

    Returns:
        a run whose result is a :class:`Forgotten`

    Raises:
        ValueError: if the index is not ours, or knows no learned words
    """
    learned_words.check_forget(index)
    return Run(_forget(index))


def _forget(index: Index) -> Generator[Progress, None, Forgotten]:
    yield Progress("Forgetting the words", 0.0)
    words = learned_words.check_forget(index).words
    learned_words.forget(index)
    return Forgotten(index.key, len(words["known"]))
