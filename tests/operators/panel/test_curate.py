"""The tab that does something with what was found."""

import fiftyone as fo
import pydash
import pytest

from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from tests.operators.panel.helpers import OTHER, SETTINGS, THING, run


def test_a_long_tail_report(browser, indexed):
    browser.tab("curate")
    assert browser.part("curate.report") is None
    assert "try again" in browser.event("on_report_row", row=0)
    prompts = [THING, OTHER, "-1, a dash"]
    run("report_long_tail", indexed, prompts=prompts, brain_key="detail", threshold=1)
    assert browser.tab("curate") is None and browser.part("curate.report")
    assert "all images of the index" in str(browser.part("curate.scale"))
    rows = pydash.get(browser.data, "curate.report")
    pictures = pydash.get(browser.data, "curate.pictures").values()
    assert len(pictures) == len(rows) == 3
    assert all(url.startswith("data:image/jpeg") for url in pictures)
    browser.view = indexed.limit(3).view()._serialize()
    browser.fill(within="view")
    for number, row in enumerate(rows):
        assert browser.event("on_report_row", row=number) is None
        assert len(browser.shown(indexed)) == int(row["count"])
    assert browser.get("search.threshold") == 1


@pytest.mark.parametrize(
    "event, operator",
    [("on_classify", "classify_by_prompts"), ("on_long_tail", "report_long_tail"),
     ("on_duplicates", "find_near_duplicates"), ("on_outliers", "find_outliers"),
     ("on_map", "map_embeddings"), ("on_diverse", "select_diverse_subset")],
)
def test_curating_opens_forms(browser, event, operator):
    browser.tab("curate")
    browser.event(event)
    assert browser.asked() == (operator, {"brain_key": "detail"})


def test_near_duplicates_by_grade(on_mine, mine):
    on_mine.tab("curate")
    assert on_mine.part("curate.duplicates") is None
    copy = fo.Sample(filepath=mine.first().filepath)
    mine.add_sample(copy)
    compute_index.compute(Index(mine, "detail"), mine, SETTINGS).finish()
    run("find_near_duplicates", mine, brain_key="detail", threshold=0)
    assert on_mine.tab("curate") is None and on_mine.part("curate.duplicates")
    (row,) = pydash.get(on_mine.data, "curate.duplicates")
    assert row == {"grade": "same", "groups": "1", "duplicates": "1"}
    assert on_mine.event("on_duplicates_row", row=0) is None
    first = mine.first()
    assert on_mine.shown(mine).values("id") == [first.id, copy.id]
    assert on_mine.active == ["detail_duplicate"]
    assert on_mine.event("on_only_duplicates", row=0) is None
    assert on_mine.shown(mine).values("id") == [copy.id]
    assert "1 image has the tag" in on_mine.event("on_tag_duplicates", row=0)
    assert mine.match_tags("duplicate").values("id") == [copy.id]
    mine.delete_samples([copy.id])
    assert "open this tab again" in on_mine.event("on_duplicates_row", row=0)
    on_mine.tab("curate")
    assert on_mine.part("curate.duplicates") is None


def test_tagging_takes_the_search_along(browser):
    browser.search(THING, f"-{OTHER}", threshold=1.5)
    browser.event("on_tag")
    assert browser.asked() == (
        "tag_hits",
        {"brain_key": "detail", "query": f"{THING}, -{OTHER}", "threshold": 1.5},
    )
