"""What the App shows of a dataset before anybody has chosen, and in which colours."""

from __future__ import annotations

import fiftyone as fo


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


def colour(dataset: fo.Dataset, field: str, value: str) -> None:
    """Gives a field a colour of its own in the App, unless somebody chose one.

    Args:
        dataset: the dataset
        field: its name; it need not exist
        value: such as ``"#ff0000"``
    """
    scheme = dataset.app_config.color_scheme or fo.ColorScheme()
    known = scheme.fields or []
    if any(entry["path"] == field for entry in known):
        return
    scheme.fields = [*known, {"path": field, "fieldColor": value}]
    dataset.app_config.color_scheme = scheme
    dataset.save()
