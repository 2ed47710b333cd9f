"""A query from Python: one line of prompts, what was read from one, or one prompt."""

from __future__ import annotations

import re

from detail_embed.texts.query import Prompt, Query, parse
from detail_embed.texts.query_signs import HASHES

_HASH = re.compile(rf'\s*["\\]*[{HASHES}]')  # also within quotes


def read_query(query: str | Query) -> Query:
    """Reads a query.

    Raises:
        TypeError: if it is no text
        ValueError: if the text cannot be read
    """
    if isinstance(query, Query):
        return query
    if isinstance(query, str):
        return parse(query)
    several = ""
    if isinstance(query, (list, tuple)) and all(isinstance(q, str) for q in query):
        several = f", such as {', '.join(query)!r:.80}"
    raise TypeError(
        f"a query must be one text, with commas between its prompts{several}, or a "
        f"vector as a NumPy array (d,); not {query!r:.80}"
    )


def read_prompt(line: str) -> Prompt:
    """Reads a prompt of a list: its commas and signs are part of it.

    But ``#helmet`` is the concept of this name, and ``"#1"`` the text ``#1``.

    Raises:
        TypeError: if it is no text
        ValueError: if it is empty, or begins with ``#`` and is more than one prompt
    """
    if not isinstance(line, str) or not _HASH.match(line):
        return Prompt(line)
    prompts = parse(line).prompts
    if len(prompts) > 1:
        raise ValueError(
            f"{line!r:.200} is more than one prompt: give each by itself, or put "
            "quotes around a text that begins with #"
        )
    return prompts[0]


def line_of(prompt: Prompt) -> str:
    """Writes a prompt of weight 1 as :func:`read_prompt` reads it."""
    begins = prompt.is_concept or _HASH.match(prompt.text)
    return str(prompt) if begins else prompt.text
