"""The tab that does something with what was found."""

import pydash
import pytest

from tests.operators.panel.helpers import OTHER, THING, run


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


def test_tagging_takes_the_search_along(browser):
    browser.search(THING, f"-{OTHER}", threshold=1.5)
    browser.event("on_tag")
    assert browser.asked() == (
        "tag_hits",
        {"brain_key": "detail", "query": f"{THING}, -{OTHER}", "threshold": 1.5},
    )
