"""The search tab: prompts, index, options, threshold, clear."""

import sys

import fiftyone.brain as fob
import numpy as np
import pydash
import pytest

from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import vector_counts
from detail_embed.fiftyone_bridge.samples.private_names import brain_run_id
from detail_embed.fiftyone_bridge.search.found import SCORE
from detail_embed.fiftyone_bridge.search.match import MATCH
from detail_embed.fiftyone_bridge.search.search import search
from operators.panel.tabs import result_words
from operators.shared.app import TAKE_DEFAULTS
from tests.operators.panel.helpers import OTHER, THING, queries


def test_a_prompt_that_is_hardly_understood(browser):
    browser.search("红色头盔")
    assert "script of “红色头盔”" in browser.part("search.hints")["view"]["label"]
    browser.search(THING)
    assert browser.part("search.hints") is None


@pytest.mark.parametrize(
    ("likely", "shown", "text"),
    [
        (0, 25, ""),
        (1, 1, " It probably shows it."),
        (1, 25, " The first probably shows it; below here: probably not."),
        (2, 25, " The first **2** probably show it; below here: probably not."),
        (25, 25, " All probably show it."),
    ],
)
def test_what_is_said_of_the_line(likely, shown, text):
    assert result_words.probably(likely, shown) == text


def test_search(browser, indexed):
    assert browser.search(THING, k=7) is None
    want = search(Index(indexed, "detail"), indexed, THING, 7)
    view = browser.shown(indexed)
    scores = [round(score, 4) for score in want.scores]
    assert view.values("id") == want.ids and view.values(SCORE) == scores
    assert browser.active == [SCORE, MATCH]
    places = view.values(f"{MATCH}.detections.bounding_box")
    assert places == [[box] for box in want.boxes] and None not in want.boxes
    assert set(view.distinct(f"{MATCH}.detections.label")) == {THING}
    assert not indexed.exists(MATCH)  # they belong to the view
    assert "**7** of 24 images" in browser.summary
    assert "by all patches" in browser.summary
    bars = pydash.get(browser.data, "search.histogram")[0]
    assert sum(bars["y"]) == 24
    assert queries(browser) == [THING]
    assert browser.part("search.histogram") and browser.part("search.threshold")
    strip = browser.part("search.strip")["view"]["hits"]
    assert [hit["id"] for hit in strip] == want.ids
    assert [hit["box"] for hit in strip] == want.boxes
    assert [hit["likely"] for hit in strip] == [i < want.likely for i in range(7)]


def test_nothing_of_a_search_stays_on_the_next(browser, indexed):
    browser.search(THING, k=3)
    browser.event("on_show_where")
    assert browser.active[0] == SCORE and "detail_where" in browser.active
    assert browser.part("search.buttons.hide")
    browser.event("on_hide_where")
    assert browser.active == [SCORE, MATCH] and browser.part("search.buttons.where")
    browser.event("on_show_where")
    browser.search(OTHER, k=3)
    assert browser.active == [SCORE, MATCH]
    labels = browser.shown(indexed).distinct(f"{MATCH}.detections.label")
    assert labels == [OTHER]
    browser.event("on_clear")
    assert browser.active == ["ground_truth"] and browser.view == []


def test_close_ups_and_back(browser, indexed):
    browser.search(THING, k=24)
    images = browser.shown(indexed).values("id")
    assert "Close-ups" in str(browser.part("search.buttons.close_ups"))
    assert browser.event("on_close_ups") is None
    patches = browser.shown(indexed)
    assert patches.values("sample_id") == images  # best first
    assert patches.values(f"{MATCH}.label") == [THING] * 24
    assert "Images" in str(browser.part("search.buttons.close_ups"))
    assert browser.event("on_close_ups") is None
    assert browser.shown(indexed).values("id") == images
    assert TAKE_DEFAULTS in dict(browser.requests)  # the sidebar's groups, mixed up
    browser.event("on_close_ups")
    browser.search(OTHER, k=5)  # from the close-ups
    assert len(browser.shown(indexed)) == 5
    assert TAKE_DEFAULTS in dict(browser.requests)
    browser.event("on_close_ups")
    browser.event("on_clear")
    assert browser.view == [] and TAKE_DEFAULTS in dict(browser.requests)


def test_but_not(browser, indexed):
    browser.search(THING)
    first = browser.shown(indexed).values("id")
    browser.search(THING, f"-{OTHER}")
    second = browser.shown(indexed).values("id")
    assert second == search(
        Index(indexed, "detail"), indexed, f"{THING}, -{OTHER}"
    ).ids != first
    assert queries(browser) == [f"{THING}, -{OTHER}", THING]


def test_a_line_of_prompts_stays_as_it_was_typed(browser, indexed):
    line = f"2*{THING},-{OTHER}, at night"
    assert browser.search(line) is None
    assert browser.prompts == [line]
    sent = [params for name, params in browser.requests if "panel_state" in name]
    assert not any("search.prompts" in params["state"] for params in sent)
    want = search(
        Index(indexed, "detail"), indexed, f"2 * {THING}, -{OTHER}, at night"
    ).ids
    assert browser.shown(indexed).values("id") == want


@pytest.mark.parametrize(
    "prompts, place",
    [(['a "cube'], 2), (["2 * "], 4), ([THING, "1e9 * car"], len(THING) + 2),
     (["nan * x"], 0)],
)
def test_a_syntax_error_shows_its_place(browser, prompts, place):
    browser.search(THING)
    before = (browser.view, browser.active)
    how = "also" if len(prompts) > 1 else "instead"
    message = browser.event("on_enter", text=prompts[-1], how=how)
    reason, _, drawing = message.partition("\n\n```\n")
    line, arrow, _ = drawing.split("\n")
    assert reason.endswith(":") and line in ", ".join(prompts)
    assert arrow == " " * place + "^"
    assert browser.severity == "error" and browser.prompts == [THING]  # as before
    assert (browser.view, browser.active) == before
    assert browser.search(THING) is None


@pytest.mark.parametrize(
    "prompts, words",
    [
        ([f"-{THING}"], "add what you are looking for"),
        ([f"-{THING}, -a car"], "add what you are looking for"),
        (["x" * 10_001], "10,000"),
        (["   "], "say what to look for"),
        ([","], "a prompt is missing here"),
    ],
)
def test_prompts_that_cannot_be_searched(browser, prompts, words):
    assert words in browser.search(*prompts)
    assert browser.severity == "error" and browser.view == []
    assert browser.prompts == []  # what was typed stays in the box
    assert queries(browser) == [] and SCORE not in browser.active
    assert len(browser.message) < 1000


def test_nothing_typed(browser):
    assert browser.event("on_enter").startswith("type what you are looking for")
    assert browser.view == []


def test_enter_replaces_and_what_is_added_is_added(browser, indexed):
    browser.search(THING)
    browser.search(OTHER, k=4)
    assert browser.prompts == [OTHER]
    index = Index(indexed, "detail")
    for text, how, prompts in [
        ("at night", "also", [OTHER, "at night"]),
        ("a car", "not", [OTHER, "at night", "-a car"]),
        ("-a bus", "not", [OTHER, "at night", "-a car", "-a bus"]),
        ("\N{MINUS SIGN} a bike", "instead",
         [OTHER, "at night", "-a car", "-a bus", "-a bike"]),
    ]:
        assert browser.event("on_enter", text=text, how=how) is None
        assert browser.prompts == prompts
        want = search(index, indexed, ", ".join(prompts), k=4).ids
        assert browser.shown(indexed).values("id") == want
    browser.event("on_enter", text=f"+ {THING}", how="instead")
    assert browser.prompts[-1] == THING and len(browser.prompts) == 6
    for _ in range(5):
        browser.event("on_take_away", place=0)
    assert browser.prompts == [THING]
    want = search(index, indexed, THING, k=4).ids
    assert browser.shown(indexed).values("id") == want


def test_suggestions_and_examples(browser, indexed):
    warm_up = sys.modules[type(browser.panel).__module__].warm_up
    warm_up.suggested.read(Index(indexed, "detail"))
    browser.event("on_look")
    box = browser.part("search.box")["view"]
    assert set(indexed.distinct("ground_truth.detections.label")) < set(
        box["suggestions"]
    )
    assert "birthday cake" in box["suggestions"]  # what detail-demo knows
    assert 0 < len(box["examples"]) <= 4
    assert set(box["examples"]) <= set(box["suggestions"])
    indexed.info["detail_examples"] = ["a kite"]
    warm_up.suggested.read(Index(indexed, "detail"))
    browser.event("on_look")
    assert browser.part("search.box")["view"]["examples"] == ["a kite"]
    del indexed.info["detail_examples"]


def test_what_is_offered_appears_when_it_was_read(browser, indexed, monkeypatch):
    warm_up = sys.modules[type(browser.panel).__module__].warm_up
    run = brain_run_id(indexed, "detail")
    monkeypatch.setattr(warm_up, "_runs", {run})
    monkeypatch.setattr(warm_up.suggested, "_known", {})
    monkeypatch.setattr(vector_counts, "_FEW", 0)
    with monkeypatch.context() as while_counting:
        while_counting.setattr(vector_counts._Counting, "is_alive", lambda self: True)
        while_counting.setattr(vector_counts._Counting, "run", lambda self: None)
        browser.event("on_look")
        assert " images" not in browser.get("captions")["detail"]
    assert browser.part("search.timer")
    browser.event("poll_offers")
    assert not browser.part("search.box")["view"]["suggestions"]
    warm_up.suggested.read(Index(indexed, "detail"))
    browser.event("poll_offers")
    assert THING in browser.part("search.box")["view"]["suggestions"]
    assert f"{len(indexed)} images" in browser.get("captions")["detail"]
    assert browser.part("search.timer") is None


def test_what_cannot_be_read_is_not_waited_for(browser, indexed, monkeypatch):
    warm_up = sys.modules[type(browser.panel).__module__].warm_up
    run = brain_run_id(indexed, "detail")
    monkeypatch.setattr(warm_up.suggested, "_known", {})
    monkeypatch.setattr(warm_up.suggested, "read", lambda index: 1 / 0)
    warm_up._load(indexed, "detail", run)
    monkeypatch.setattr(warm_up, "_runs", {run})
    browser.event("on_look")
    assert browser.part("search.timer") is None


@pytest.mark.parametrize(
    "text",
    ["🚲 🪖", "خوذة حمراء", "קסדה אדומה", '"salt, pepper and -20 degrees"',
     "the driver's “red” cap", "<b>bold</b> `code` {x} $y", "x" * 10_000, "é\n\tb"],
)
def test_any_text(browser, indexed, text):
    assert browser.search(text, k=3) is None
    assert len(browser.shown(indexed)) == 3
    assert len(queries(browser)) == 1 and len(queries(browser)[0]) <= 61
    assert browser.prompts == [text]
    browser.event("on_history_row", row=0)
    (prompt,) = browser.prompts
    assert prompt.split() == text.split() and len(queries(browser)) <= 2


def test_more_images_than_there_are(browser, indexed):
    assert browser.search(THING, k=100_000) is None
    assert len(browser.shown(indexed)) == 24


@pytest.mark.parametrize("k", [0, -3, 2.5, "many"])
def test_a_number_of_images_that_is_none(browser, k):
    assert "give a whole number of images" in browser.search(THING, k=k)


def test_fields_that_were_emptied_take_their_defaults(browser, indexed):
    browser.fill(k=None, within=None, templates=None, method=None, threshold=None)
    assert browser.search(THING) is None
    assert len(browser.shown(indexed)) == 24


@pytest.mark.parametrize("method", ["vectors", "reranked", "patches"])
@pytest.mark.parametrize("templates", ["own", "plain"])
def test_ways_to_search(browser, indexed, method, templates):
    assert browser.search(THING, method=method, templates=templates, k=4) is None
    want = search(
        Index(indexed, "detail"),
        indexed,
        THING,
        k=4,
        method=method,
        templates=templates,
    ).ids
    assert browser.shown(indexed).values("id") == want


def test_threshold(browser, indexed):
    browser.search(THING)
    assert browser.fill(threshold=0.8).event("on_threshold") is None
    want = search(Index(indexed, "detail"), indexed, THING, threshold=0.8)
    assert 0 < want.above < 24
    assert browser.shown(indexed).values("id") == want.ids
    assert f"**{want.above}** of 24" in browser.summary
    assert "stand out by 0.8" in browser.summary
    low = browser.part("search.threshold")["view"]["min"]
    browser.fill(threshold=low).event("on_threshold")
    assert "stand out by" not in browser.summary
    assert len(browser.shown(indexed)) == 24


def test_a_bar_of_the_histogram_is_a_threshold(browser, indexed):
    browser.search(THING)
    browser.event("on_histogram", range=[0.52, 0.9])
    assert browser.get("search.threshold") == 0.5
    want = search(Index(indexed, "detail"), indexed, THING, threshold=0.5).ids
    assert browser.shown(indexed).values("id") == want
    assert browser.event("on_histogram") is None


def test_a_threshold_that_nothing_reaches(browser, indexed):
    browser.search(THING)
    message = browser.fill(threshold=50).event("on_threshold")
    assert "lower the threshold" in message and browser.severity == "warning"
    assert len(browser.shown(indexed)) == 0
    low = browser.part("search.threshold")["view"]["min"]
    browser.fill(threshold=low).event("on_threshold")
    assert len(browser.shown(indexed)) == 24 and browser.message is None


def test_clear(browser):
    browser.search(THING, threshold=0.5)
    browser.event("on_clear")
    assert browser.view == [] and browser.active == ["ground_truth"]
    assert not browser.prompts and browser.summary is None
    assert browser.get("search.threshold") == -100
    assert browser.part("search.histogram") is None


@pytest.mark.parametrize("within", ["dataset", "view"])
def test_clear_shows_what_was_shown_before(browser, indexed, within):
    before = indexed.skip(3).limit(9).view()._serialize()
    browser.view = before
    browser.search(THING, within=within, k=5)
    browser.search(OTHER)
    assert browser.view != before
    browser.event("on_clear")
    ids = indexed.skip(3).limit(9).values("id")
    assert browser.shown(indexed).values("id") == ids


def test_taking_the_last_prompt_away_clears(browser):
    browser.search(THING)
    browser.search()
    assert browser.view == [] and browser.summary is None


def test_within_the_view_and_not_within_the_result(browser, indexed):
    view = indexed.skip(3).limit(9)
    browser.view = view._serialize()
    browser.search(THING, within="view", k=4)
    assert browser.shown(indexed).values(
        "id"
    ) == search(Index.of(view, "detail"), view, THING, k=4).ids
    browser.search(OTHER)
    assert browser.shown(indexed).values(
        "id"
    ) == search(Index.of(view, "detail"), view, OTHER, k=4).ids
    assert "of 9 images" in browser.summary
    browser.view = indexed.limit(5).view()._serialize()
    browser.event("on_enter")
    assert "of 5 images" in browser.summary


def test_a_score_of_one_is_a_whole_number_in_the_browser(browser, indexed):
    """The result is known again, although its 1.0 comes back as 1."""
    before = indexed.skip(3).limit(9).view()._serialize()
    browser.view = before
    vector = indexed.skip(4).first()["detail_embedding"].tolist()
    made = {"vector": vector, "weight": 1, "label": "1 image"}
    browser.fill(within="view").event("on_example_given", result=made)
    assert browser.shown(indexed).first()[SCORE] == 1
    browser.search(THING)
    assert "of 9 images" in browser.summary
    browser.fill(k=2).event("on_enter")
    assert "of 9 images" in browser.summary
    browser.event("on_clear")
    shown = browser.shown(indexed).values("id")
    assert shown == indexed.skip(3).limit(9).values("id")


def test_options_are_shown_and_hidden(browser):
    assert browser.part("search.options") is None
    browser.event("on_options")
    assert browser.part("search.options.k")
    browser.event("on_options")
    assert browser.part("search.options") is None


def test_another_index(on_mine, mine):
    model = mine.get_brain_info("detail").config.model
    vectors = np.stack(mine.values("detail_global_embedding"))
    fob.compute_similarity(mine, embeddings=vectors, model=model, brain_key="other")
    on_mine.search(THING, method="patches", k=4)
    on_mine.fill(brain_key="detail_global").event("on_index")
    assert on_mine.get("search.which.method") == "patches"
    on_mine.fill(brain_key="other").event("on_index")
    assert on_mine.get("search.which.method") == "auto"
    want = search(Index.of(mine, "detail_global"), mine, THING, 4, method="vectors").ids
    assert on_mine.shown(mine).values("id") == want


def test_a_close_up_opens_its_image(browser, indexed):
    browser.search(THING, k=3)
    second = browser.part("search.strip")["view"]["hits"][1]["id"]
    assert browser.event("on_open", id=second) is None
    assert ("open_sample", {"id": second, "group_id": None}) in browser.requests


def test_nothing_here_looks_like_it(browser, indexed):
    answer = search(Index(indexed, "detail"), indexed, "qwrtz plofk")
    assert answer.likely == 0
    browser.search("qwrtz plofk")
    said = browser.part("search.nothing")["view"]["label"]
    assert said.startswith("Nothing here looks like “qwrtz plofk”")
    shown = search(Index(indexed, "detail"), indexed, THING).likely
    browser.search(THING)
    assert shown and browser.part("search.nothing") is None
    assert "below here: probably not" in browser.summary
