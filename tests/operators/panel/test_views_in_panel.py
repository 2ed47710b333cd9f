"""The panel on frames of videos, and on groups: what the grid shows is searched."""

import fiftyone as fo
import pytest

from detail_embed.fiftyone_bridge import DetailIndex
from tests.browser import Browser
from tests.operators.panel.helpers import SETTINGS, THING


@pytest.fixture
def films(bare):
    """The scenes as frames of two videos, with an index of them."""
    made = fo.Dataset(persistent=True)
    paths = bare.values("filepath")[:8]
    for number in range(2):
        video = fo.Sample(filepath=f"/videos/{number}.mp4")
        for place, path in enumerate(paths[number::2], 1):
            video.frames[place] = fo.Frame(filepath=path)
        made.add_sample(video)
    view = made.to_frames()
    DetailIndex.of(view, "detail").compute(view, SETTINGS, also_global=True)
    yield made
    made.delete()


@pytest.fixture
def sides(bare):
    """The scenes in groups of two slices, of which the second is indexed."""
    made = fo.Dataset(persistent=True)
    made.add_group_field("group", default="left")
    paths = iter(bare.values("filepath")[:8])
    for _ in range(4):
        group = fo.Group()
        for side in ("left", "right"):
            path = next(paths)
            made.add_sample(fo.Sample(filepath=path, group=group.element(side)))
    made.group_slice = "right"
    DetailIndex(made, "detail").compute(settings=SETTINGS)
    made.group_slice = "left"
    yield made
    made.delete()


def test_a_view_of_frames_is_searched(panel, films):
    browser = Browser(panel, films.name)
    browser.view = films.to_frames()._serialize()
    browser.event("on_load")
    assert browser.search(THING, k=3, within="view") is None
    shown = browser.shown(films)
    assert len(shown) == 3 and shown.has_field("detail_score")
    assert browser.event("on_show_where") is None
    assert len(films.to_frames().exists("detail_where")) == 3
    browser.tab("indexes")
    assert browser.compare(THING) is None
    assert len(browser.data["compare"]) > 0


def test_groups_are_searched_in_the_slice_that_is_shown(panel, sides):
    browser = Browser(panel, sides.name, group_slice="right")
    browser.event("on_load")
    assert browser.search(THING, k=3) is None
    rights = set(sides.select_group_slices("right").values("id"))
    assert len(browser.shown(sides)) == 3
    assert set(browser.shown(sides).values("id")) <= rights
    browser = Browser(panel, sides.name, group_slice="left")
    browser.event("on_load")
    assert "embed them first" in browser.search(THING, k=3)
