"""A query from Python: one line of prompts, or what was read from one."""

from __future__ import annotations

from detail_embed.texts.query import Query, parse


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
