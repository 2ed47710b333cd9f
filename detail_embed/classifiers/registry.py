"""The kinds of classifiers by name."""

from __future__ import annotations

import difflib
from typing import TypeVar

from detail_embed.classifiers.kind import Kind

_REGISTRY: dict[str, type[Kind]] = {}
_KindType = TypeVar("_KindType", bound="type[Kind]")


def register(cls: _KindType) -> _KindType:
    """Class decorator: makes a kind of classifier known under its ``name``."""
    _REGISTRY[cls.name] = cls
    return cls


def names() -> list[str]:
    """Names of the kinds, sorted."""
    return sorted(_REGISTRY)


def create(name: str) -> Kind:
    """A kind by its name.

    Raises:
        ValueError: if there is no such kind
    """
    if not isinstance(name, str) or name not in _REGISTRY:
        near = difflib.get_close_matches(str(name), names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(
            f"unknown kind of classifier {name!r}{hint} Choose one of {names()}"
        )
    return _REGISTRY[name]()
