"""What the App shows of a dataset before anybody has chosen."""

import fiftyone as fo
import pytest

from detail_embed.fiftyone_bridge.samples import app_defaults
from detail_embed.fiftyone_bridge.samples.app_defaults import (
    GROUP,
    HEATMAP,
    MATCH,
    SCORE,
    WHERE,
)

HELPERS = [SCORE, MATCH, WHERE, HEATMAP]


@pytest.fixture
def empty():
    dataset = fo.Dataset()
    dataset.add_sample_field(
        "people", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
    )
    yield dataset
    dataset.delete()


def _groups(dataset):
    return {group.name: group for group in dataset.app_config.sidebar_groups}


def test_fields_of_a_search_are_made_once_and_lie_in_a_closed_group(empty):
    app_defaults.prepare(empty)
    assert set(HELPERS) < set(empty.get_field_schema())
    groups = _groups(empty)
    assert groups[GROUP].paths == HELPERS and groups[GROUP].expanded is False
    assert groups["labels"].paths == ["people"]
    before = empty.app_config.to_dict()
    app_defaults.prepare(empty)
    assert empty.app_config.to_dict() == before
    empty.reload()
    assert empty.app_config.to_dict() == before


def test_labels_of_people_are_drawn_and_nothing_else(empty):
    app_defaults.prepare(empty)
    shown = empty.app_config.active_fields
    assert not shown.exclude and shown.paths == ["people", MATCH]


def test_a_list_of_what_is_not_drawn_gets_longer(empty):
    empty.app_config.active_fields = fo.ActiveFields(exclude=True, paths=["people"])
    app_defaults.prepare(empty)
    shown = empty.app_config.active_fields
    assert shown.exclude and shown.paths == ["people", WHERE, HEATMAP]


def test_what_somebody_chose_stays(empty):
    config = empty.app_config
    config.active_fields = fo.ActiveFields(paths=["people", WHERE])
    config.sidebar_groups = [
        fo.SidebarGroupDocument(name="mine", paths=["people", "old_vector"]),
        fo.SidebarGroupDocument(name=GROUP, paths=[], expanded=True),
    ]
    empty.save()
    app_defaults.fold(empty, "old_vector")
    app_defaults.prepare(empty)
    shown = empty.app_config.active_fields
    assert not shown.exclude and shown.paths == ["people"]
    groups = _groups(empty)
    assert list(groups) == ["mine", GROUP] and groups["mine"].paths == ["people"]
    assert groups[GROUP].paths == ["old_vector", *HELPERS] and groups[GROUP].expanded


def test_a_field_of_somebody_else_is_left_alone(empty):
    empty.add_sample_field(WHERE, fo.StringField)
    app_defaults.prepare(empty)
    assert isinstance(empty.get_field(WHERE), fo.StringField)
    assert WHERE not in _groups(empty)[GROUP].paths
