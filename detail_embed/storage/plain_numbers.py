"""What counts as a number that somebody gives."""

from __future__ import annotations


def is_a(kind: type | tuple[type, ...], value: object) -> bool:
    """Whether a value is a number of a kind; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)
