"""What counts as the same thing in other words, and what a class name is made of."""

from __future__ import annotations

import hashlib
import re

_GLUE = frozenset("a an and at by for from in made of on or the to with".split())
_SINGULARS = {
    "axes": "axe", "bookshelves": "bookshelf", "buses": "bus", "cacti": "cactus",
    "cactuses": "cactus", "calves": "calf", "children": "child", "feet": "foot",
    "gas": "gas", "gases": "gas", "geese": "goose", "halves": "half",
    "knives": "knife", "leaves": "leaf", "lens": "lens", "lenses": "lens",
    "loaves": "loaf", "mangoes": "mango", "mice": "mouse", "octopi": "octopus",
    "octopuses": "octopus", "oxen": "ox", "people": "person", "potatoes": "potato",
    "quizzes": "quiz", "scarves": "scarf", "shelves": "shelf", "teeth": "tooth",
    "thieves": "thief", "tomatoes": "tomato", "viruses": "virus",
    "walruses": "walrus", "wolves": "wolf",
}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\s_\-]+")
_SHORTEST_PART = 3


def base_form(text: str) -> str:
    """Reduces a word or phrase to what all its wordings share.

    Two texts are wordings of one thing if they are of the same words, whatever their
    order, case, number, and what joins them: "Red_MetalCubes", "red metal cube" and
    "cube made of red metal" are. Not so synonyms ("sofa" and "couch"), parts ("cube")
    and longer phrases ("small red metal cube").

    Args:
        text: a word or phrase

    Returns:
        its words but ``a``, ``of``, ``made``..., in the singular, lower-case, sorted
    """
    is_plain = text.islower() and text.replace(" ", "").isalnum()  # most of long lists
    words = (text if is_plain else _words(text)).casefold().split()
    return " ".join(sorted(_singular(w) for w in words if w not in _GLUE) or words)


def class_wordings(name: str) -> tuple[list[str], list[str]]:
    """Takes the name of a class apart.

    Args:
        name: such as ``"red_metal_cube"`` or ``"TrafficLight"``

    Returns:
        wordings of the whole: with spaces for what joins its words, in its own case
        and lower-case; and its parts, lower-case: each word of three letters or more,
        and the last words together (of ``"red metal cube"`` ``"metal cube"``)
    """
    whole = _words(name)
    words = whole.lower().split()
    ends = [" ".join(words[start:]) for start in range(1, len(words) - 1)]
    singles = [w for w in words if len(w) >= _SHORTEST_PART and w not in _GLUE]
    parts = [*singles, *(end for end in ends if end.split()[0] not in _GLUE)]
    return list(dict.fromkeys([whole, whole.lower()])), parts if words[1:] else []


def _words(text: str) -> str:
    """A name's words, with single spaces between them."""
    return _SEPARATORS.sub(" ", _CAMEL.sub(" ", text)).strip() or text.strip()


def _singular(word: str) -> str:
    """A guess that is the same for a word's singular and plural, not always a word."""
    if word in _SINGULARS:
        return _SINGULARS[word]
    if len(word) > 3:
        if word.endswith("ies") and len(word) > 4:
            word = word[:-3] + "y"
        elif word.endswith(("ches", "shes", "sses", "xes", "zes")):
            word = word[:-2]
        elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    return word[:-3] + "man" if word.endswith("men") else word


def is_held_out(word: str, fraction: float = 0.3) -> bool:
    """Tells whether a word is set apart from the proxies, by its name alone.

    The same on every machine; a larger fraction holds out a superset.

    Args:
        word: a word or phrase
        fraction (0.3): share of all words to hold out, 0 to 1
    """
    digest = hashlib.sha256(word.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < fraction
