"""What cannot work, said in the form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.facts import IndexFacts

INSTALL = (
    "Install what is missing with `fiftyone plugins requirements "
    "@detail/detail-embed --install`, then restart the App"
)


def add_problem(inputs: types.Object, text: str) -> None:
    """Shows a problem in a form, which cannot be sent until it is solved."""
    warning = types.Warning(label="Not yet", description=text)
    inputs.view("problem", warning).invalid = True


def resolve_form(
    ctx: foo.ExecutionContext,
    label: str,
    fill: Callable[[types.Object, foc.SampleCollection], None],
    target: Callable[
        [foo.ExecutionContext], foc.SampleCollection
    ] = foo.ExecutionContext.target_view,
) -> types.Property:
    """Makes the form of an operator on samples; whatever cannot work is said in it.

    Args:
        ctx: of the operator
        label: of the form
        fill: adds the inputs, for the samples that are meant; may raise
        target (ExecutionContext.target_view): finds these samples
    """
    inputs = types.Object()
    form = types.Property(inputs, view=types.View(label=label))
    if ctx.dataset is None:
        add_problem(inputs, "Open a data set first")
        return form
    try:
        fill(inputs, target(ctx))
    except (ValueError, TypeError) as error:
        add_problem(inputs, str(error))
    except ImportError as error:
        add_problem(inputs, f"{error}. {INSTALL}")
    return form



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
