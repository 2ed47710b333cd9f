"""What the demo backbone reads while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from detail_embed.clver_ds import Concept
from detail_embed.clver_ds.solids import COLOURS, MATERIALS, SHAPES

_TEMPLATES = (
    "{}", "a {}", "the {}", "a photo of a {}", "a photo of the {}",
    "a picture of a {}", "a small {}", "a large {}", "a photo of a small {}",
    "a {} in a large scene", "there is a {} somewhere", "one {}",
    "a close-up photo of a {}",
)
_SOLID_ORDERS = (
    "{c} {m} {s}", "{m} {c} {s}", "{c} {s} made of {m}",
    "{s} made of {c} {m}", "{c} {m} {s}", "{c} {m} {s}",
)
_NOTHING = (
    "nothing", "an empty background", "a photo of nothing", "empty ground",
    "a texture without objects", "a plain surface",
)


def wordings(concept: Concept) -> list[str]:
    """Every caption that may stand for a concept."""
    names = [concept.name]
    if concept.bank == "solids":
        words = dict(c=concept.colour, m=concept.material, s=concept.shape)
        names = [order.format(**words) for order in _SOLID_ORDERS]
    return [t.format(name) for name in names for t in _TEMPLATES]


def nothing() -> list[str]:
    """Captions of a crop that shows no object."""
    return list(_NOTHING)


Match = Callable[[Concept], bool]


def attributes() -> Iterable[tuple[list[str], Match]]:
    """Partial descriptions of solids, with the concepts that they fit.

    Yields ``(captions, match)`` for every shape, colour, material and pair of
    them.
    """
    for s in SHAPES:
        yield _phrases(s), _matcher(s=s)
        for m in MATERIALS:
            yield _phrases(f"{m} {s}"), _matcher(s=s, m=m)
        for c in COLOURS:
            yield _phrases(f"{c} {s}", f"{s} that is {c}"), _matcher(s=s, c=c)
    for m in MATERIALS:
        yield _phrases(f"{m} object", f"something made of {m}"), _matcher(m=m)
        for c in COLOURS:
            yield _phrases(f"{c} {m} object"), _matcher(c=c, m=m)
    for c in COLOURS:
        yield _phrases(f"{c} object", f"{c} solid"), _matcher(c=c)


def _phrases(*names: str) -> list[str]:
    return [t.format(n) for n in names for t in ("{}", "a {}", "a photo of a {}")]


def _matcher(s=None, c=None, m=None) -> Match:
    def match(concept: Concept) -> bool:
        return concept.bank == "solids" and all(
            wanted in (None, actual)
            for wanted, actual in (
                (s, concept.shape), (c, concept.colour), (m, concept.material)
            )
        )

    return match
