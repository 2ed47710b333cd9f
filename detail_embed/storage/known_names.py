"""What is said of a name that is none of those there are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def unknown(what: str, name: object, known: Sequence[str]) -> ValueError:
    """The error for a name that is not known, with the one that may be meant.

    Args:
        what: was named, such as ``"fuser"``
        name: that is none
        known: the names there are
    """
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ValueError(f"unknown {what} {name!r}{hint} Choose one of {list(known)}")
