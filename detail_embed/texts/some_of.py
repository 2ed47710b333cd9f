"""Many names in a sentence: the first few, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 5


def some_of(names: Sequence[str]) -> str:
    """The first five names, quoted, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more
