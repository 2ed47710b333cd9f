"""Boxes in the panel: searched, shown as close-ups, found again by what is selected."""

from dataclasses import replace

import fiftyone.operators as foo
import pytest
from fiftyone.core.patches import PatchesView
from fiftyone.operators.executor import Executor

from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from tests.browser import Browser
from tests.forms import problems_of
from tests.operators.panel.helpers import OPERATORS, SETTINGS, THING, queries, run

FIELD, KEY = "ground_truth", "detail_boxes"


@pytest.fixture(scope="module")
def boxed(scenes):
    """Eight scenes, their index and that of their boxes."""
    dataset = load_clver_ds(scenes)
    dataset.delete_samples(dataset.skip(8).values("id"))
    settings = replace(SETTINGS, patches_field=FIELD, keep_features=False)
    DetailIndex(dataset, "detail").compute(dataset, settings)
    yield dataset
    dataset.delete()


@pytest.fixture
def browser(panel, boxed):
    """A panel on these scenes that asks their boxes."""
    browser = Browser(panel, boxed.name)
    browser.event("on_load")
    return browser.fill(brain_key=KEY)


def index_of(boxed):
    return DetailIndex(boxed, KEY)


def test_the_index_is_offered_in_plain_words(browser):
    view = browser.part("search.which.brain_key")["view"]
    labels = {choice["value"]: choice["label"] for choice in view["choices"]}
    assert labels[KEY] == "detail_boxes · boxes of ground_truth"
    assert list(labels)[0] == "detail"


def test_boxes_are_shown_as_close_ups_at_once(browser, boxed):
    assert browser.search(THING, k=6) is None
    shown, expected = browser.shown(boxed), index_of(boxed).search(THING, k=6)
    assert isinstance(shown, PatchesView) and shown.values("id") == expected.ids
    assert shown.values("detail_score") == [round(s, 4) for s in expected.scores]
    assert browser.active == ["detail_score", FIELD]
    assert f"of {expected.searched} boxes, best first" in browser.summary
    hits = browser.part("search.strip")["view"]["hits"]
    assert [hit["id"] for hit in hits] == expected.ids
    assert [hit["box"] for hit in hits] == expected.boxes
    assert browser.part("search.buttons.where") is None
    assert queries(browser)[0] == THING


def test_to_the_images_and_back(browser, boxed):
    browser.search(THING, k=6)
    expected = index_of(boxed).search(THING, k=6)
    assert browser.part("search.buttons.close_ups")["view"]["label"] == "Images"
    browser.event("on_close_ups")
    assert browser.shown(boxed).values("id") == expected.images.ids
    assert browser.active == ["detail_score", "detail_match"]
    browser.event("on_open", id=expected.ids[3])
    assert ("open_sample", expected.sample_ids[3]) in opened(browser)
    browser.event("on_close_ups")
    assert browser.shown(boxed).values("id") == expected.ids
    assert browser.active == ["detail_score", FIELD]
    browser.event("on_open", id=expected.ids[3])
    assert ("open_sample", expected.ids[3]) in opened(browser)


def opened(browser):
    return [(name, params.get("id")) for name, params in browser.requests]


def test_searches_do_not_look_in_their_own_result(browser, boxed):
    browser.view = boxed.limit(3).view()._serialize()
    browser.search(THING, k=2, within="view")
    assert browser.search("metal", k=100) is None
    shown = browser.shown(boxed)
    assert set(shown.values("sample_id")) <= set(boxed.limit(3).values("id"))
    assert len(shown) == boxed.limit(3).count(f"{FIELD}.detections")
    browser.event("on_clear")
    assert browser.shown(boxed).values("id") == boxed.limit(3).values("id")
    assert browser.active == ["ground_truth"]


def test_a_threshold_that_no_box_reaches(browser):
    assert "No box stands out" in browser.search(THING, threshold=50)


def test_boxes_like_those_selected(browser, boxed):
    browser.search(THING, k=6)
    assert "select a box first" in browser.event("on_similar")
    ids = browser.shown(boxed).values("id")
    browser.request["selected"] = ids[2:3]
    assert browser.event("on_similar") is None
    found = browser.shown(boxed).values("id")
    assert found == index_of(boxed).search(like=ids[2:3], k=6).ids
    assert browser.part("search.chosen.text")["default"] == "Like 1 box"
    browser.request.pop("selected")
    browser.event("on_close_ups")  # the images
    first = boxed.first()
    label = first[FIELD].detections[1].id
    browser.request["selected_labels"] = [
        {"sample_id": first.id, "field": FIELD, "label_id": label}
    ]
    assert browser.event("on_similar") is None
    assert browser.shown(boxed).first().id == label


def test_the_images_of_an_index_stay_as_they_were(browser):
    browser.search(THING, k=4, brain_key="detail")
    assert "images, best first" in browser.summary
    assert browser.part("search.buttons.similar") is None
    assert browser.active == ["detail_score", "detail_match"]


def test_mistaken_labels_in_the_curate_tab(browser, boxed):
    browser.tab("curate")
    assert browser.part("curate.strip") is None
    browser.fill(brain_key="detail")
    browser.event("on_mistaken")
    assert browser.asked() == ("find_mistaken_labels", {"brain_key": KEY})
    run("find_mistaken_labels", boxed, brain_key=KEY, count=7)
    assert browser.tab("curate") is None
    hits = browser.part("curate.strip")["view"]["hits"]
    assert len(hits) == 7 and " → " in hits[0]["score"] and hits[0]["box"]
    browser.view = boxed.view()._serialize()
    browser.event("on_mistaken_open", id=hits[0]["id"])
    images = dict(zip(*boxed.to_patches(FIELD).values(["id", "sample_id"])))
    assert ("open_sample", images[hits[0]["id"]]) in opened(browser)
    browser.event("on_mistaken_show")
    shown = browser.shown(boxed)
    assert shown.values("id") == [hit["id"] for hit in hits]
    values = shown.values(f"{FIELD}.mistakenness")
    assert values == sorted(values, reverse=True)
    browser.event("on_mistaken_open", id=hits[1]["id"])
    assert ("open_sample", hits[1]["id"]) in opened(browser)


def test_forms_of_boxes(browser, boxed):
    for event, operator in (("on_duplicates", "find_near_duplicates"),
                            ("on_outliers", "find_outliers"), ("on_tag", "tag_hits")):
        browser.event(event)
        asked, given = browser.asked()
        assert asked == operator and given["brain_key"] == KEY


def test_the_form_of_mistaken_labels(boxed):
    uri = f"{OPERATORS}/find_mistaken_labels"

    def form(**params):
        request = {"dataset_name": boxed.name, "params": params}
        ctx = foo.ExecutionContext(
            request_params=request, executor=Executor(), operator_uri=uri
        )
        return foo.get_operator(uri).resolve_input(ctx)

    assert not problems_of(form())
    assert form().type.properties["brain_key"].default == KEY
    assert "at least two" in str(problems_of(form(classes="cube")))
    assert "whole images" in str(problems_of(form(brain_key="detail")))
