"""Takes out of the state what the App copied into it.

When a person changes an input, FiftyOne 1.22 writes all that the panel shows into its
state, also plots, tables and pictures. What is shown later is that copy overlaid with
the newer data, entry by entry: of a longer list of before, the end would stay.

A search does without: each change of the state makes the App read its page of images
anew, the list of searches hardly ever gets shorter, and its histogram never does.
"""

from __future__ import annotations

import fiftyone.operators as foo

_TABS = ("compare", "curate", "indexes", "fusers", "evaluate")
DATA = (
    "compare.strips",
    "curate.duplicates",
    "curate.report",
    "indexes.list",
    "fusers.list",
    "fusers.curve",
    "evaluate.plot",
    "evaluate.worst",
    *(f"{tab}.live0" for tab in _TABS),
)


def drop(ctx: foo.ExecutionContext, *paths: str) -> None:
    """Takes copies of panel data out of the state of a panel.

    Args:
        ctx: of the panel
        *paths: of the data, by default all but those of the search tab
    """
    copied = [path for path in paths or DATA if ctx.panel.get_state(path) is not None]
    if copied:
        ctx.panel.set_state(dict.fromkeys(copied))
