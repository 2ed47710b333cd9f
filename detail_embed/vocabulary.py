"""Proxy words and the words that are held out from them."""

from __future__ import annotations

import hashlib


def is_held_out(word: str, fraction: float = 0.3) -> bool:
    """Tells whether a word is set apart from the proxies, by its name alone.

    The same on every machine; a larger fraction holds out a superset.

    Args:
        word: a word or phrase
        fraction (0.3): share of all words to hold out, 0 to 1
    """
    digest = hashlib.sha256(word.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < fraction
