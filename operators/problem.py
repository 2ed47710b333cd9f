"""What cannot work, said in the form."""

from __future__ import annotations

from fiftyone.operators import types

INSTALL = (
    "Install what is missing with `fiftyone plugins requirements "
    "@detail/detail-embed --install`, then restart the App"
)


def add_problem(inputs: types.Object, text: str) -> None:
    """Shows a problem in a form, which cannot be sent until it is solved."""
    warning = types.Warning(label="Not yet", description=text)
    inputs.view("problem", warning).invalid = True
