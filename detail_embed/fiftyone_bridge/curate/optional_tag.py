"""A tag that a person may ask for, or not."""

from __future__ import annotations


def read_tag(tag: str | None) -> str | None:
    """The tag without white space around it; None where none is asked for.

    Raises:
        ValueError: if it is empty, or no text
    """
    if tag is None:
        return None
    if not isinstance(tag, str) or not tag.strip():
        raise ValueError(f"tag={tag!r}: give a word, or leave it out for no tag")
    return tag.strip()
