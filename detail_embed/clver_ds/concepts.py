"""What can stand in a scene: the kinds of things and the solids.

Every concept is a query word. Words are set apart by a hash of their name:
*held-out* words are never proxies of a fuser; *unseen* solids are not shown to
the demo backbone either, while each single word of theirs is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from detail_embed.clver_ds import solids, things
from detail_embed.texts.wordings import is_held_out

BANKS = ("things", "solids")
HELD_OUT = 0.30
UNSEEN = 0.15


@dataclass(frozen=True)
class Concept:
    """One kind of object.

    Attributes:
        name: the words a person would type, e.g. ``"red metal cube"``
        bank: ``"things"`` or ``"solids"``
        held_out: True if no fuser may use the name as a proxy
        unseen: True if neither a fuser nor the demo backbone may know it
        shape: the shape of a solid, else None
        colour: the colour of a solid, else None
        material: the material of a solid, else None
    """

    name: str
    bank: str
    held_out: bool
    unseen: bool = False
    shape: str | None = None
    colour: str | None = None
    material: str | None = None

    @property
    def is_proxy(self) -> bool:
        """Whether a fuser may use the name as a proxy."""
        return not (self.held_out or self.unseen)


def _solid(shape: str, colour: str, material: str) -> Concept:
    name = f"{colour} {material} {shape}"
    held_out = is_held_out(name, HELD_OUT)
    return Concept(
        name,
        "solids",
        held_out=held_out,
        unseen=not held_out and is_held_out(name, HELD_OUT + UNSEEN),
        shape=shape,
        colour=colour,
        material=material,
    )


@cache
def concepts(bank: str = "both") -> tuple[Concept, ...]:
    """Lists the concepts of a bank.

    Args:
        bank ("both"): ``"things"``, ``"solids"`` or ``"both"``

    Raises:
        ValueError: for any other bank
    """
    if bank == "both":
        return concepts("things") + concepts("solids")
    if bank == "things":
        return tuple(
            Concept(name, "things", is_held_out(name, HELD_OUT))
            for name in things.names()
        )
    if bank == "solids":
        return tuple(
            _solid(shape, colour, material)
            for shape in solids.SHAPES
            for colour in solids.COLOURS
            for material in solids.MATERIALS
        )
    raise ValueError(
        f"bank must be 'things', 'solids' or 'both', not {bank!r}"
    )
