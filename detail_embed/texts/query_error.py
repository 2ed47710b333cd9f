"""What is wrong with a line of prompts, and where."""

from __future__ import annotations

import unicodedata

_SHOWN = 40  # characters before and after the place of an error


class QuerySyntaxError(ValueError):
    """A line that is no query, and where it goes wrong.

    Attributes:
        reason: what is wrong, without the line
        text: the line
        position: the place in it, counted in characters (code points) from 0
    """

    def __init__(self, reason: str, text: str, position: int):
        super().__init__(reason, text, position)
        self.reason = reason
        self.text = text
        self.position = position

    def __str__(self) -> str:
        """Gives the reason, the line, or a part of it, and a caret under the place."""
        start, end = max(0, self.position - _SHOWN), self.position + _SHOWN
        before = "…" * (start > 0) + _printable(self.text[start:self.position])
        after = _printable(self.text[self.position:end])
        after += "…" * (end < len(self.text))
        return f"{self.reason}:\n{before}{after}\n{' ' * _columns(before)}^"


def _printable(text: str) -> str:
    """Replaces line breaks and the like, one for one, by spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def _columns(text: str) -> int:
    """Counts the columns of a terminal that a text fills."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me")
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
