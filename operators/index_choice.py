"""The choice of an index in a form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fiftyone.operators import types

if TYPE_CHECKING:
    from ..detail_embed.fiftyone_bridge.index_facts import IndexFacts


def add_choice(
    inputs: types.Object,
    params: dict[str, Any],
    known: Sequence[IndexFacts],
    preselect: bool = True,
) -> IndexFacts | None:
    """Adds the choice of an index to a form.

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
            "This data set has no index to choose: compute detail embeddings first"
        )
    view = types.DropdownView()
    for facts in known:
        view.add_choice(
            facts.brain_key, label=facts.brain_key, description=_summarise(facts)
        )
    keys = view.values()
    first = keys[0] if preselect else None
    choice = inputs.enum(
        "brain_key", keys, required=True, default=first, label="Index", view=view
    )
    chosen = params.get("brain_key") or first
    if chosen is None:
        choice.invalid = True
        choice.error_message = " "  # else the App calls what is not chosen yet invalid
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
