"""What cannot work, said in the form."""

from __future__ import annotations

from collections.abc import Callable

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

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
