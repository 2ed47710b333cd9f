"""What the search tab was asked: options in the browser, prompts in the server."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.view as fov
import fiftyone.operators as foo

from detail_embed.fiftyone_bridge.samples.private_names import serialized

from . import memory

ROOT = "search"
PATHS = {
    "brain_key": "search.which.brain_key",
    "method": "search.which.method",
    "templates": "search.options.templates",
    "k": "search.options.k",
    "within": "search.options.within",
    "pool": "search.options.pool",
    "threshold": "search.threshold",
    "example": "search.example",
}
DEFAULTS = {
    "method": "auto",
    "templates": "own",
    "k": 25,
    "within": "dataset",
    "pool": "best",
    "threshold": -100.0,
}
OFF = DEFAULTS["threshold"]  # below all z-scores: the best are shown
_PROMPTS, _TURN = "prompts", "turn"
_turns = itertools.count()
_MINUS = "-\N{MINUS SIGN}\N{EN DASH}\N{EM DASH}"


@dataclass(frozen=True)
class Asked:
    """The values of the form.

    Attributes:
        prompts: each a part of a line of prompts, as it was typed
        brain_key: the index, None where there is none
        method: of search
        templates: name of the set
        k: images to show
        within: ``"dataset"`` or ``"view"``
        pool: what a video is as good as, ``"best"`` or ``"mean"`` of its frames
        threshold: z-score, None for none
        example: vector, weight and label of examples, None for none
    """

    prompts: tuple[str, ...]
    brain_key: str | None
    method: str
    templates: str
    k: int
    within: str
    pool: str
    threshold: float | None
    example: dict[str, Any] | None

    @property
    def text(self) -> str:
        """All prompts in one line."""
        return ", ".join(self.prompts)


def read(ctx: foo.ExecutionContext) -> Asked:
    """Reads the form; what is not filled in takes its default."""
    values = {name: ctx.panel.get_state(path) for name, path in PATHS.items()}
    for name, default in DEFAULTS.items():
        if values[name] is None:  # also where a field was emptied
            values[name] = default
    if values["threshold"] == OFF:
        values["threshold"] = None
    return Asked(prompts=tuple(memory.of(ctx).get(_PROMPTS, ())), **values)


def write(ctx: foo.ExecutionContext, **values: Any) -> None:
    """Fills in fields of the form.

    Every change of the state makes the App store its layout and read the page anew:
    change all at once. The prompts are not in there for that reason.
    """
    if _PROMPTS in values:
        memory.of(ctx)[_PROMPTS] = tuple(values.pop(_PROMPTS) or ())
    if values:
        ctx.panel.set_state({PATHS[name]: value for name, value in values.items()})


def combine(prompts: Sequence[str], text: str, how: str) -> tuple[str, ...]:
    """Adds a text to the prompts, or takes it instead of them.

    Args:
        prompts: those of the search before
        text: as it was typed; one that begins with a plus or a minus adds, too
        how: ``"instead"``, ``"also"`` or ``"not"``
    """
    bare = text.strip()
    if how == "instead" and prompts and bare[:1] in ("+", *_MINUS):
        how = "also" if bare[0] == "+" else "not"
        text = bare[1:].strip()
    if how == "instead":
        return (text,)
    if how == "not":
        text = "-" + text.strip().lstrip(_MINUS).strip()
    return (*prompts, text)


def take_turn(ctx: foo.ExecutionContext, tab: str = ROOT) -> int:
    """Notes that another answer is being looked for; see :func:`is_turn`."""
    turn = memory.of(ctx)[_TURN, tab] = next(_turns)
    return turn


def is_turn(ctx: foo.ExecutionContext, turn: int, tab: str = ROOT) -> bool:
    """Whether nothing else was asked on a tab since.

    Events are answered side by side: what a slow one found must not replace what the
    next one shows.
    """
    return memory.of(ctx)[_TURN, tab] == turn


def change(ctx: foo.ExecutionContext, values: Mapping[str, Any]) -> None:
    """Sets what differs in the state; a change makes the App draw its panels anew.

    What a person is typing at that moment is lost.
    """
    new = {
        path: value for path, value in values.items()
        if ctx.panel.get_state(path) != value
    }
    if new:
        ctx.panel.set_state(new)


def split(typed: Sequence[str]) -> list[str]:
    """Makes one entry of each prompt of the lines that were typed.

    Raises:
        detail_embed.texts.query.QuerySyntaxError: pointing at the place
    """
    from detail_embed.texts.query import parse

    return [str(prompt) for line in typed for prompt in parse(line).prompts]


def quote(texts: Sequence[str]) -> list[str]:
    """Makes prompts of texts that are meant as they are."""
    from detail_embed.texts.query import Prompt

    return [str(Prompt(text)) for text in texts]


def of_list(lines: Sequence[str]) -> list[str]:
    """Makes prompts of those of a list, in which ``#name`` is a concept."""
    from detail_embed.texts.read_query import read_prompt

    return [str(read_prompt(line)) for line in lines]


def digest(view: fov.DatasetView) -> str:
    """Names what a view shows, for as long as nothing is added to it."""
    stages = [
        {key: value for key, value in stage.items() if key != "_uuid"}
        for stage in serialized(view)
    ]
    text = json.dumps(stages, default=str)
    same = json.loads(text, parse_int=float)  # the browser makes 1 of 1.0
    return hashlib.sha1(json.dumps(same).encode()).hexdigest()

