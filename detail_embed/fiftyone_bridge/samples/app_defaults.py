"""What the App shows of a dataset before anybody has chosen, and in which colours."""

from __future__ import annotations

import fiftyone as fo

SCORE = "detail_score"  # what a search found, in its views alone
MATCH = "detail_match"  # the best places of a search, likewise
_BRIGHT = "#ffe600"  # none of the colours that FiftyOne gives to fields


def prepare(dataset: fo.Dataset) -> None:
    """Sees to it that what a search finds will be seen; a page that is open may not.

    The App reads colours when it opens a dataset, so this comes before the search.
    """
    _colour(dataset, MATCH, _BRIGHT)


def hide(dataset: fo.Dataset, field: str) -> None:
    """Keeps a field of labels out of those that the App draws from the start.

    FiftyOne draws every field of labels unless the dataset says which. A list that
    somebody made stays as it is but for the field.
    """
    config = dataset.app_config
    shown = config.active_fields or fo.DatasetAppConfig.default_active_fields(dataset)
    if shown.exclude:
        shown.paths = [*(path for path in shown.paths if path != field), field]
    else:
        shown.paths = [path for path in shown.paths if path != field]
    config.active_fields = shown
    dataset.save()


def _colour(dataset: fo.Dataset, field: str, value: str) -> None:
    """Gives a field a colour of its own, unless somebody chose one."""
    scheme = dataset.app_config.color_scheme or fo.ColorScheme()
    known = scheme.fields or []
    if any(entry["path"] == field for entry in known):
        return
    scheme.fields = [*known, {"path": field, "fieldColor": value}]
    dataset.app_config.color_scheme = scheme
    dataset.save()
