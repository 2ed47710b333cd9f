"""What a person judged of a search, for as long as the panel is open.

It belongs to what was looked for: another search begins anew, and the same one again
goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import fiftyone.operators as foo

from . import memory
from .search_state import Asked

Place = tuple[str, tuple[float, ...] | None]  # id of an image, and its box
_JUDGED = "judged"


@dataclass(frozen=True)
class Judged:
    """Images and places in them.

    Attributes:
        up: what shows it, in the order in which it was judged
        down: what does not
    """

    up: tuple[Place, ...] = ()
    down: tuple[Place, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.up or self.down)

    def judge(self, places: Iterable[Place], good: bool) -> Judged:
        """Adds a judgement in place of the one before; the same again is none."""
        places = tuple(dict.fromkeys(places))
        mine = self.up if good else self.down
        added = () if set(places) <= set(mine) else places
        up, down = (
            tuple(place for place in some if place not in places)
            for some in (self.up, self.down)
        )
        return Judged(up + added, down) if good else Judged(up, down + added)

    def without(self, id: str) -> Judged:
        """Takes back what was judged of an image."""
        up, down = (
            tuple(place for place in some if place[0] != id)
            for some in (self.up, self.down)
        )
        return Judged(up, down)

    @property
    def images(self) -> dict[str, bool]:
        """Whether images were judged good, by id."""
        down = {id: False for id, _ in self.down}
        return down | {id: True for id, _ in self.up}


def of(ctx: foo.ExecutionContext, asked: Asked) -> Judged:
    """What was judged of a search so far."""
    return memory.of(ctx).get(_JUDGED, {}).get(_key(asked), Judged())


def keep(ctx: foo.ExecutionContext, asked: Asked, judged: Judged) -> None:
    """Keeps what was judged of a search."""
    memory.of(ctx).setdefault(_JUDGED, {})[_key(asked)] = judged


def drop(ctx: foo.ExecutionContext) -> None:
    """Forgets all that was judged, as it is of another dataset."""
    memory.of(ctx).pop(_JUDGED, None)


def _key(asked: Asked) -> tuple[str, str]:
    example = asked.example
    return asked.text, str(example["vector"]) if example else ""
