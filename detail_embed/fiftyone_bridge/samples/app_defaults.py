"""What the App shows of a dataset before anybody has chosen, and how."""

from __future__ import annotations

from collections.abc import Iterable

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.samples.frames import (
    FRAMES,
    Frames,
    Home,
    dataset_with,
)

SCORE = "detail_score"  # what a search found, in its views alone
MATCH = "detail_match"  # the best places of a search, likewise
WHERE = "detail_where"  # boxes of what images show of a text
HEATMAP = "detail_heatmap"  # and how much each of their parts does
ATTENTION = "detail_attention"  # where the model looks
GROUP = "detail search"  # of the App's sidebar
MATCH_MAKER = "detail_embed.search"  # said in the fields, so that nobody else's
WHERE_MAKER = "detail_embed.show_where"  # is taken for ours
ATTENTION_MAKER = "detail_embed.show_attention"
HITS_MAKER = "detail_embed.search_videos"
DUPLICATE_MAKER = "detail_embed.near_duplicates"
_BRIGHT = "#ffe600"  # none of the colours that FiftyOne gives to fields
_LABELS = {
    MATCH: (fo.Detections, MATCH_MAKER),
    WHERE: (fo.Detections, WHERE_MAKER),
    HEATMAP: (fo.Heatmap, WHERE_MAKER),
}


def prepare(home: Home) -> None:
    """Sees to it that what a search finds will be seen; a page that is open may not.

    The App reads fields and colours when it opens a dataset, so this comes before the
    search.
    """
    missing = [name for name in (SCORE, *_LABELS) if not home.has_field(name)]
    for name in missing:
        if name == SCORE:
            info = {"made_by": MATCH_MAKER}
            home.add_sample_field(name, fo.FloatField, info=info)
        else:
            declare_labels(home, name, *_LABELS[name])
    if missing:
        fold(home, *missing)
        hide(home, WHERE, HEATMAP)
    elif _is_left_over(home):
        field = home.get_field(SCORE)
        field.info = {"made_by": MATCH_MAKER}
        field.save()
    _colour(dataset_with(home), MATCH, _BRIGHT)


def has_score(samples: foc.SampleCollection) -> bool:
    """Whether the field of scores is there, and is not somebody else's."""
    field = samples.get_field(SCORE)
    return field is not None and is_made_by(field, MATCH_MAKER)


def _is_left_over(dataset: Home) -> bool:
    """Whether the field of scores is of searches that did not say so, hence empty."""
    if isinstance(dataset, Frames):
        return False
    field = dataset.get_field(SCORE)
    is_bare = isinstance(field, fo.FloatField) and not field.info
    return is_bare and not len(dataset.exists(SCORE).limit(1))


def declare_labels(
    home: Home, field: str, kind: type[fo.Label], maker: str
) -> None:
    """Adds a field of labels that says what made it."""
    home.add_sample_field(
        field,
        fo.EmbeddedDocumentField,
        embedded_doc_type=kind,
        info={"made_by": maker},
    )


def is_made_by(field: fo.Field, maker: str) -> bool:
    """Whether a field says that this made it."""
    return (field.info or {}).get("made_by") == maker


def is_ours(field: fo.Field) -> bool:
    """Whether a field says that detail-embed made it."""
    return str((field.info or {}).get("made_by", "")).startswith("detail_embed")


def hide(home: Home, *fields: str) -> None:
    """Keeps fields of labels out of those that the App draws from the start.

    FiftyOne draws every field of labels, but for heat maps and masks, unless the
    dataset says which; a list of what is not drawn would draw numbers and ids. A list
    that somebody made stays as it is but for the fields.
    """
    dataset = dataset_with(home)
    config = dataset.app_config
    shown, hidden = config.active_fields, _paths(home, fields)
    if shown is None:
        shown = fo.DatasetAppConfig.default_active_fields(dataset)
        if isinstance(home, Frames):
            named = [path.removeprefix(FRAMES) for path in shown.paths]
            shown.paths = list(dict.fromkeys([*shown.paths, *named]))
    others = [path for path in shown.paths if path not in hidden]
    shown.paths = [*others, *hidden] if shown.exclude else others
    config.active_fields = shown
    dataset.save()


def fold(home: Home, *fields: str) -> None:
    """Moves fields to a closed group of the App's sidebar, away from those of people.

    Groups that somebody made stay as they are but for the fields.
    """
    dataset = dataset_with(home)
    config = dataset.app_config
    groups = config.sidebar_groups
    if groups is None:
        groups = fo.DatasetAppConfig.default_sidebar_groups(dataset)
    moved = _paths(home, fields)
    for group in groups:
        group.paths = [path for path in group.paths if path not in moved]
    ours = next((group for group in groups if group.name == GROUP), None)
    if ours is None:
        ours = fo.SidebarGroupDocument(name=GROUP, paths=[], expanded=False)
        groups = [*groups, ours]
    ours.paths = [*ours.paths, *moved]
    config.sidebar_groups = groups
    dataset.save()


def _paths(home: Home, fields: Iterable[str]) -> list[str]:
    """What fields are called in the App; those of frames also where videos play."""
    videos = [FRAMES + field for field in fields] if isinstance(home, Frames) else []
    return [*fields, *videos]


def _colour(dataset: fo.Dataset, field: str, value: str) -> None:
    """Gives a field a colour of its own, unless somebody chose one."""
    scheme = dataset.app_config.color_scheme or fo.ColorScheme()
    known = scheme.fields or []
    if any(entry["path"] == field for entry in known):
        return
    scheme.fields = [*known, {"path": field, "fieldColor": value}]
    dataset.app_config.color_scheme = scheme
    dataset.save()
