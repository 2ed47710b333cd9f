"""Parts of forms, and what was filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import numpy as np
from fiftyone.operators import types

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.facts import IndexFacts
    from detail_embed.fiftyone_bridge.index.index import Index

_MOST_NAMED = 10  # of what can be chosen
_NO_INDEX = "No index of this dataset can be used: use 'Compute detail embeddings'"


def filled(params: Mapping[str, Any]) -> dict[str, Any]:
    """What was filled in; what was left empty takes its default."""
    return {k: v for k, v in params.items() if not _is_empty(v)}


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list)) and not value)


def refuse_empty(params: Mapping[str, Any]) -> None:
    """Refuses empty texts from Python, which a form means as "the default".

    Raises:
        ValueError: naming the argument
    """
    for name, value in params.items():
        if isinstance(value, str) and not value:
            raise ValueError(
                f"{name}={value!r} is empty: give a value, or leave it out for the "
                "default"
            )


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from Python as a form, and a database, have them.

    NumPy's numbers become Python's, and paths texts.
    """
    return {name: _plain(value) for name, value in params.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, PathLike) else value


def given(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named parameters that have a value; others take their default."""
    return {name: params[name] for name in names if params.get(name) is not None}


def index_of(samples: foc.SampleCollection, params: Mapping[str, Any]) -> Index:
    """The index that was chosen, by default the one called ``"detail"``."""
    from detail_embed.fiftyone_bridge.index.index import Index

    key = params.get("brain_key")
    return Index.of(samples, "detail" if key is None else key)


def folder(value: str | Mapping[str, Any] | None) -> str | None:
    """The path of a folder, as text or as the App's file explorer gives it."""
    return value.get("absolute_path") if isinstance(value, dict) else value


def choices(view: types.Choices, values: Iterable[str]) -> types.Choices:
    """Adds values to a view, each under its own name."""
    for value in values:
        view.add_choice(value, label=value)
    return view


def add_ways(
    inputs: types.Object,
    name: str,
    label: str,
    ways: Mapping[str, str | None],
    default: str | None,
    description: str | None = None,
    **kwargs: Any,
) -> types.Property:
    """Adds a drop-down of values, each with its description.

    Args:
        inputs: of the form
        name: of the input
        label: of the input
        ways: ``{value: description}``
        default: the value that is chosen at first, None for none
        description (None): of the input
        kwargs: of the input
    """
    view = types.DropdownView()
    for way, explanation in ways.items():
        view.add_choice(way, label=way, description=explanation)
    return inputs.enum(
        name, view.values(), default=default, label=label, description=description,
        view=view, **kwargs,
    )


def require_choice(choice: types.Property, chosen: str | None) -> None:
    """Makes a form wait for a choice."""
    choice.invalid = not chosen
    names = ", ".join(map(str, choice.type.values[:_MOST_NAMED]))
    # else the App calls what is not chosen invalid, and an agent knows no choice
    choice.error_message = f"Choose one: {names}"


def add_index(
    inputs: types.Object,
    params: Mapping[str, Any],
    keys: Sequence[str],
    problem: str = _NO_INDEX,
) -> str:
    """Adds the choice of an index by its brain key.

    Args:
        inputs: of the form
        params: what was chosen so far
        keys: the indexes that can be chosen; the first one is at first
        problem: what is said where there is none

    Returns:
        the brain key that is meant

    Raises:
        ValueError: if there is none
    """
    if not keys:
        raise ValueError(problem)
    ways = dict.fromkeys(keys)
    add_ways(inputs, "brain_key", "Index", ways, keys[0], required=True)
    return params.get("brain_key") or keys[0]


def add_known_index(
    inputs: types.Object,
    params: Mapping[str, Any],
    known: Sequence[IndexFacts],
    preselect: bool = True,
) -> IndexFacts | None:
    """Adds the choice of an index, and what each one is.

    Args:
        inputs: of the form
        params: what was chosen so far
        known: the indexes there are
        preselect (True): whether the first one is chosen at first

    Returns:
        the chosen index; None where none is yet

    Raises:
        ValueError: if there is none, or one that is not there was chosen
    """
    if not known:
        raise ValueError(
            "This dataset has no index to choose: compute detail embeddings first"
        )
    ways = {facts.brain_key: _summarise(facts) for facts in known}
    first = known[0].brain_key if preselect else None
    choice = add_ways(inputs, "brain_key", "Index", ways, first, required=True)
    chosen = params.get("brain_key") or first
    if chosen is None:
        require_choice(choice, chosen)
        return None
    found = [facts for facts in known if facts.brain_key == chosen]
    if not found:
        raise ValueError(f"The index {chosen!r} is not there any more: choose another")
    return found[0]


def _summarise(facts: IndexFacts) -> str:
    parts = [facts.space or ""]
    if facts.images is not None:
        parts.append(f"{facts.images:,} images")
    parts.append(f"{facts.created:%Y-%m-%d}")
    return ", ".join(filter(None, parts))
