"""The kinds of classifiers by name."""

from __future__ import annotations

from typing import TypeVar

from detail_embed.classifiers.kind import Kind
from detail_embed.storage.known_names import unknown

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
        raise unknown("kind of classifier", name, names())
    return _REGISTRY[name]()
