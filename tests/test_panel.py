"""The panel's events as the App sends them, on a real data set with real indexes."""

import importlib
import sys

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.operators as foo
import numpy as np
import pydash
import pymongo.errors
import pytest
from fiftyone.operators.executor import Executor
from pymongo.collection import Collection
from pymongo.cursor import Cursor

from detail_embed import demo
from detail_embed.fiftyone_bridge import deletion, evaluation_runs, index, run_board
from detail_embed.fiftyone_bridge.datasets import load_clver_ds
from detail_embed.fiftyone_bridge.history import History
from detail_embed.fiftyone_bridge.prompt_search import SCORE, search
from detail_embed.fiftyone_bridge.run_board import RunBoard
from detail_embed.fiftyone_bridge.settings import Settings
from detail_embed.fiftyone_bridge.steps import Progress, Run
from tests.browser import PANEL, Browser

THING, OTHER = "red metal cube", "blue rubber sphere"
KEYS = ["detail", "detail_global"]
TABS = ["search", "compare", "curate", "indexes", "fusers", "evaluate"]
SETTINGS = Settings(
    backbone=demo.NAME, cover=2, fuser="mean", device="cpu", keep_features="float16"
)
OPERATORS = "@detail/detail-embed"


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def panel():
    """The panel, when the library it needs is imported."""
    panel = foo.get_operator(PANEL)
    warm_up = sys.modules[type(panel).__module__].warm_up
    warm_up.is_ready()
    warm_up._imports.join()
    assert warm_up.is_ready()
    return panel


@pytest.fixture(scope="module")
def indexed(scenes):
    """24 scenes with a detail index and one of whole images."""
    dataset = load_clver_ds(scenes)
    index.compute(dataset, SETTINGS, also_global=True).finish()
    yield dataset
    dataset.delete()


@pytest.fixture
def browser(panel, indexed):
    """A panel that was opened on the scenes."""
    browser = Browser(panel, indexed.name)
    browser.event("on_load")
    yield browser
    History(indexed)._store.clear()


@pytest.fixture
def mine(scenes):
    """Scenes with their two indexes that a test may spoil."""
    dataset = load_clver_ds(scenes)
    dataset.delete_samples(dataset.skip(8).values("id"))
    index.compute(dataset, SETTINGS, also_global=True).finish()
    yield dataset
    if fo.dataset_exists(dataset.name):
        dataset.delete()


@pytest.fixture
def on_mine(panel, mine):
    browser = Browser(panel, mine.name)
    browser.event("on_load")
    return browser


@pytest.fixture
def bare(scenes):
    """Scenes without an index."""
    dataset = load_clver_ds(scenes)
    yield dataset
    dataset.delete()


def queries(browser):
    return [row["query"] for row in pydash.get(browser.data, "search.history", [])]


def run(operator, dataset, **params):
    """Does what the form of an operator does when it is sent."""
    uri = f"{OPERATORS}/{operator}"
    request = {"dataset_name": dataset.name, "params": params}
    ctx = foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=uri
    )
    for _ in foo.get_operator(uri).execute(ctx):
        pass


# Opening the panel


def test_no_data_set(panel):
    browser = Browser(panel, None)
    assert browser.event("on_load") == "Open a data set first"
    assert browser.names() == {"notice"} and browser.severity == "info"


def test_an_empty_data_set(panel):
    dataset = fo.Dataset()
    try:
        message = Browser(panel, dataset.name).event("on_load")
        assert "has no samples" in message and "add images" in message
    finally:
        dataset.delete()


@pytest.mark.parametrize("medium", ["video", "3d", "group"])
def test_a_data_set_of_another_medium(panel, medium):
    dataset = fo.Dataset()
    if medium == "group":
        dataset.add_group_field("group", default="left")
        group = fo.Group()
        sample = fo.Sample(filepath="a.png", group=group.element("left"))
    else:
        suffix = {"video": "mp4", "3d": "fo3d"}[medium]
        sample = fo.Sample(filepath=f"a.{suffix}")
    dataset.add_sample(sample)
    try:
        browser = Browser(panel, dataset.name)
        message = browser.event("on_load")
        assert message.startswith("Nothing can be searched here")
        assert "group" in message if medium == "group" else medium in message
        assert browser.names() == {"notice"}
    finally:
        dataset.delete()


def test_no_index_yet(panel, bare):
    browser = Browser(panel, bare.name)
    assert browser.event("on_load") is None
    assert "24 images and no index yet" in str(browser.part("intro"))
    assert browser.part("start.compute") and "tab" not in browser.names()
    browser.event("on_compute")
    assert browser.asked()[0] == "compute_detail_embeddings"
    index.compute(bare, SETTINGS).finish()
    assert browser.event("on_look") is None
    assert browser.get("search.which.brain_key") == "detail"
    assert browser.part("search.prompts")


def test_defaults_are_chosen(browser):
    search_form = browser.state["search"]
    assert search_form["which"] == {"brain_key": "detail", "method": "vectors"}
    options = {"templates": "own", "k": 25, "within": "dataset"}
    assert search_form["options"] == options
    assert "prompts" not in search_form and search_form["threshold"] == 0
    assert browser.state["compare"]["which"] == {
        "left": "detail", "right": "detail_global"
    }
    choices = browser.part("search.which.brain_key")["view"]["choices"]
    assert [choice["value"] for choice in choices] == KEYS
    assert browser.message is None and queries(browser) == []


def test_a_page_that_is_loaded_again(browser, indexed):
    browser.search(THING, k=5)
    state = browser.state
    again = Browser(browser.panel, indexed.name)
    again.panel_id = browser.panel_id
    again.state, again.view, again.active = state, browser.view, browser.active
    again.event("on_load")
    assert again.state["search"] == state["search"] and queries(again) == [THING]
    assert again.part("search.buttons.clear")
    assert pydash.get(again.data, "search.histogram")
    again.event("on_clear")
    assert again.view == [] and SCORE not in again.active


def test_a_server_that_was_started_again(browser):
    browser.search(THING, k=5)
    browser.panel_id = "of another server"
    assert browser.event("on_load") is None
    assert browser.summary is None and queries(browser) == [THING]
    assert browser.event("on_clear") is None
    assert not browser.get("search.prompts") and SCORE not in browser.active


@pytest.mark.parametrize("tab", TABS)
def test_every_tab(browser, tab):
    assert browser.tab(tab) is None
    assert {"tab", tab} <= browser.names()
    browser.search(THING)
    assert browser.tab(tab) is None and tab in browser.names()


# Searching


def test_search(browser, indexed):
    assert browser.search(THING, k=7) is None
    want = search(indexed, THING, "detail", 7)
    view = browser.shown(indexed)
    assert view.values("id") == want.ids and view.values(SCORE) == want.scores
    assert browser.active == ["ground_truth", SCORE]
    assert "**7** of 24 images" in browser.summary
    bars = pydash.get(browser.data, "search.histogram")[0]
    assert sum(bars["y"]) == 24
    assert queries(browser) == [THING]
    assert browser.part("search.histogram") and browser.part("search.threshold")


def test_but_not(browser, indexed):
    browser.search(THING)
    first = browser.shown(indexed).values("id")
    browser.search(THING, f"-{OTHER}")
    second = browser.shown(indexed).values("id")
    assert second == search(indexed, f"{THING}, -{OTHER}").ids != first
    assert queries(browser) == [f"{THING}, -{OTHER}", THING]


def test_a_line_of_prompts_becomes_entries(browser, indexed):
    assert browser.search(f"2*{THING},-{OTHER}, at night") is None
    assert browser.get("search.prompts") == [f"2 * {THING}", f"-{OTHER}", "at night"]
    want = search(indexed, f"2 * {THING}, -{OTHER}, at night").ids
    assert browser.shown(indexed).values("id") == want


@pytest.mark.parametrize(
    "prompts, place",
    [(['a "cube'], 2), (["2 * "], 4), ([THING, "1e9 * car"], 0), (["nan * x"], 0)],
)
def test_a_syntax_error_shows_its_place(browser, prompts, place):
    browser.search(THING)
    before = (browser.view, browser.active)
    message = browser.search(*prompts)
    reason, _, drawing = message.partition("\n\n```\n")
    line, arrow, _ = drawing.split("\n")
    assert reason.endswith(":") and line in ", ".join(prompts)
    assert arrow == " " * place + "^"
    assert browser.severity == "error" and browser.get("search.prompts") == prompts
    assert (browser.view, browser.active) == before
    assert browser.search(THING) is None


@pytest.mark.parametrize(
    "prompts, words",
    [
        ([f"-{THING}"], "add what you are looking for"),
        ([f"-{THING}", "-a car"], "add what you are looking for"),
        (["x" * 10_001], "10,000"),
        (["x" * 6000, "y" * 6000], "10,000"),
        (["   "], "say what to look for"),
        ([","], "a prompt is missing here"),
    ],
)
def test_prompts_that_cannot_be_searched(browser, prompts, words):
    assert words in browser.search(*prompts)
    assert browser.severity == "error" and browser.view == []
    assert browser.get("search.prompts") == prompts
    assert queries(browser) == [] and SCORE not in browser.active
    assert len(browser.message) < 1000


@pytest.mark.parametrize("prompts", [[], None])
def test_nothing_typed(browser, prompts):
    browser.fill(prompts=prompts)
    assert browser.event("on_prompts") is None and browser.view == []
    assert browser.event("on_search").startswith("type what you are looking for")


@pytest.mark.parametrize(
    "text",
    ["🚲 🪖", "خوذة حمراء", "קסדה אדומה", '"salt, pepper and -20 degrees"',
     "the driver's “red” cap", "<b>bold</b> `code` {x} $y", "x" * 10_000, "é\n\tb"],
)
def test_any_text(browser, indexed, text):
    assert browser.search(text, k=3) is None
    assert len(browser.shown(indexed)) == 3
    assert len(queries(browser)) == 1 and len(queries(browser)[0]) <= 61
    (prompt,) = browser.get("search.prompts")
    browser.event("on_history_row", row=0)
    assert browser.get("search.prompts") == [prompt]


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
    want = search(indexed, THING, k=4, method=method, templates=templates).ids
    assert browser.shown(indexed).values("id") == want


def test_threshold(browser, indexed):
    browser.search(THING)
    assert browser.fill(threshold=0.8).event("on_threshold") is None
    want = search(indexed, THING, threshold=0.8)
    assert 0 < want.above < 24
    assert browser.shown(indexed).values("id") == want.ids
    assert f"{want.above} are at z ≥ 0.8" in browser.summary
    browser.fill(threshold=0).event("on_threshold")
    assert len(browser.shown(indexed)) == 24


def test_a_bar_of_the_histogram_is_a_threshold(browser, indexed):
    browser.search(THING)
    browser.event("on_histogram", range=[0.52, 0.9])
    assert browser.get("search.threshold") == 0.5
    want = search(indexed, THING, threshold=0.5).ids
    assert browser.shown(indexed).values("id") == want
    assert browser.event("on_histogram") is None


def test_a_threshold_that_nothing_reaches(browser, indexed):
    browser.search(THING)
    message = browser.fill(threshold=50).event("on_threshold")
    assert "lower the threshold" in message and browser.severity == "warning"
    assert len(browser.shown(indexed)) == 0
    browser.fill(threshold=0).event("on_threshold")
    assert len(browser.shown(indexed)) == 24 and browser.message is None


def test_clear(browser):
    browser.search(THING, threshold=0.5)
    browser.event("on_clear")
    assert browser.view == [] and browser.active == ["ground_truth"]
    assert not browser.get("search.prompts") and browser.summary is None
    assert browser.get("search.threshold") == 0
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
    assert browser.shown(indexed).values("id") == search(view, THING, k=4).ids
    browser.search(OTHER)
    assert browser.shown(indexed).values("id") == search(view, OTHER, k=4).ids
    assert "of 9 images" in browser.summary
    browser.view = indexed.limit(5).view()._serialize()
    browser.event("on_search")
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
    browser.fill(k=2).event("on_search")
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
    assert on_mine.get("search.which.method") == "vectors"
    want = search(mine, THING, "detail_global", 4).ids
    assert on_mine.shown(mine).values("id") == want


def test_the_form_of_examples_and_what_comes_back(browser, indexed):
    browser.event("on_example")
    name, params = browser.asked()
    assert name == "search_by_prompts"
    assert params == {"for_panel": True, "brain_key": "detail"}
    sample = indexed.skip(4).first()
    made = foo.execute_operator(
        f"{OPERATORS}/search_by_prompts",
        ctx={"dataset": indexed, "selected": [sample.id], "params": params},
    ).result
    assert browser.event("on_example_given", result=made) is None
    assert browser.shown(indexed).first().id == sample.id
    assert browser.part("search.chosen.forget") and queries(browser) == []
    browser.search(THING, k=4)
    assert len(browser.shown(indexed)) == 4
    browser.event("on_no_example")
    assert browser.shown(indexed).values("id") == search(indexed, THING, k=4).ids
    browser.event("on_example_given", result=made)
    message = browser.fill(brain_key="detail_global").event("on_index")
    assert "choose them again" in message and browser.get("search.example") is None


@pytest.mark.parametrize("event", ["on_history_row", "on_compare_show", "on_class"])
def test_what_is_shown_by_a_click_is_without_examples(browser, indexed, event):
    """An example that was given before is not mixed into a stored question."""
    browser.search(THING, k=24)
    want = browser.shown(indexed).values("id")
    browser.state["compare"]["prompts"] = [THING]
    browser.state["measured"] = {"brain_keys": ["detail"], "classes": [THING]}
    vector = indexed.first()["detail_embedding"].tolist()
    made = {"vector": vector, "weight": 3, "label": "1 image"}
    browser.event("on_example_given", result=made)
    assert browser.shown(indexed).values("id") != want
    assert browser.event(event, row=0, side="left") is None
    assert browser.shown(indexed).values("id") == want


def test_show_where_with_stored_patches(browser, indexed):
    browser.search(THING, k=3)
    assert browser.event("on_show_where") is None
    names = [name for name, _ in browser.requests]
    assert "reload_dataset" in names
    (field,) = [f for f in browser.active if f.startswith("detail_where")][:1]
    assert len(indexed.exists(field)) <= 3


def test_show_where_without_stored_patches(browser):
    browser.search(THING, brain_key="detail_global", k=3)
    browser.event("on_show_where")
    if browser.asked() is not None:
        assert browser.asked()[0] == "show_where"
        assert len(browser.asked()[1]["vector"]) > 1


def test_save_view(browser):
    browser.search(THING)
    browser.event("on_save_view")
    assert browser.asked()[0] == "save_view"


# What goes away while the panel is open


def test_an_index_that_was_deleted(on_mine, mine):
    on_mine.search(THING, k=3)
    deletion.delete_any(mine, "detail_global")
    message = on_mine.fill(brain_key="detail_global").event("on_search")
    assert "choose one of ['detail']" in message and on_mine.severity == "error"
    on_mine.event("on_look")
    assert on_mine.get("search.which.brain_key") == "detail"
    assert on_mine.search(OTHER, k=3) is None and len(on_mine.shown(mine)) == 3
    deletion.delete(mine, "detail")
    on_mine.event("on_search")
    assert on_mine.message and on_mine.part("start.compute")
    on_mine.event("on_look")
    assert on_mine.get("search.which.brain_key") is None
    assert on_mine.message is None and on_mine.part("start.compute")


@pytest.mark.parametrize("tab", ["search", "indexes"])
@pytest.mark.parametrize("change", ["deleted", "renamed"])
def test_a_data_set_that_is_gone(panel, scenes, tab, change):
    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=str(next(scenes.glob("*/*")))))
    dataset.add_sample_field("seen", fo.BooleanField)
    browser = Browser(panel, dataset.name)
    browser.state["tab"] = tab
    browser.event("on_load")
    if change == "deleted":
        dataset.delete()
    else:
        dataset.name = f"{dataset.name}-renamed"
    try:
        for event in ("on_load", "on_tab", "on_search", "on_poll", "on_compare"):
            message = browser.event(event)
            assert "Open another data set" in message
            assert browser.dataset_name in message
            assert browser.names() == {"notice"}
    finally:
        if change == "renamed":
            dataset.delete()


def test_a_data_set_that_was_renamed_and_is_known_by_its_id(on_mine, mine):
    """The App sends the id along once it knows it."""
    on_mine.request["dataset_id"] = str(mine._doc.id)
    mine.name = f"{mine.name}-renamed"
    assert on_mine.search(THING, k=3) is None and len(on_mine.shown(mine)) == 3


def test_samples_that_were_deleted_after_indexing(on_mine, mine):
    on_mine.search(THING)
    ids = on_mine.shown(mine).values("id")
    on_mine.state["tab"] = "compare"
    on_mine.state["compare"]["prompts"] = [THING]
    assert on_mine.event("on_compare") is None
    mine.delete_samples(ids[:2])
    assert on_mine.tab("compare") is None
    assert on_mine.event("on_compare_open", id=ids[0]) is None
    assert on_mine.tab("search") is None
    assert on_mine.event("on_search") is None
    assert on_mine.shown(mine).values("id") == ids[2:]
    assert "**6** of 6 images" in on_mine.summary


def test_samples_without_a_vector_are_told(on_mine, mine):
    mine.add_sample(fo.Sample(filepath=mine.first().filepath))
    on_mine.search(THING)
    assert "1 have no vector" in on_mine.summary
    on_mine.view = mine.skip(8).view()._serialize()
    message = on_mine.search(OTHER, within="view")
    assert "has a vector in the index: embed them first" in message


def test_an_index_whose_model_is_missing_here(on_mine, mine):
    results = mine.load_brain_results("detail")
    results.config.model = "of-another-machine"
    results.save_config()
    message = on_mine.search(THING)
    assert "of-another-machine" in message and "Compute the index again" in message
    assert on_mine.search(THING, brain_key="detail_global") is None


def refuse(*args, **kwargs):
    raise pymongo.errors.AutoReconnect(
        "localhost:27017: [Errno 111] Connection refused, Topology Description: "
        "<TopologyDescription id: 1, servers: [<ServerDescription ...>]>"
    )


@pytest.mark.parametrize(
    "event", ["on_load", "on_look", "on_search", "on_clear", "on_tab", "on_compare",
              "on_history_row", "on_change_dataset", "on_poll", "on_index_row"]
)
def test_a_database_that_does_not_answer(browser, monkeypatch, event):
    browser.search(THING, k=3)
    browser.state["compare"]["prompts"] = [THING]
    state = pydash.clone_deep(browser.state)
    with monkeypatch.context() as gone:
        for name in ("find_one", "find", "aggregate"):
            gone.setattr(Collection, name, refuse)
        assert "The database does not answer" in browser.event(event, row=0)
    assert browser.names() == {"notice"} and browser.severity == "error"
    browser.state = state
    assert browser.event("on_search") is None


@pytest.mark.parametrize(
    "kind, call",
    [(Collection, "find_one"), (Collection, "find"), (Collection, "aggregate"),
     (Collection, "update_one"), (Cursor, "next"), (Cursor, "__next__")],
)
def test_a_database_that_fails_in_the_midst(browser, monkeypatch, kind, call):
    with monkeypatch.context() as gone:
        gone.setattr(kind, call, refuse)
        message = browser.search(THING, k=3)
    assert message is None or "The database does not answer" in message
    assert browser.search(OTHER, k=3) is None and browser.part("search.prompts")


# The other tabs


def test_compare(browser, indexed):
    browser.tab("compare")
    assert browser.event("on_compare").startswith("type what you are looking for")
    browser.state["compare"]["prompts"] = [f"{THING}, -{OTHER}"]
    assert browser.event("on_compare") is None
    assert browser.get("compare.prompts") == [THING, f"-{OTHER}"]
    kept = browser.get("compare.kept")
    query = f"{THING}, -{OTHER}"
    assert kept["left"]["ids"] == search(indexed, query, "detail", 12).ids
    assert kept["right"]["ids"] == search(indexed, query, "detail_global", 12).ids
    strips = pydash.get(browser.data, "compare.strips")
    for side in ("left", "right"):
        pictures = strips[side]["strip"]
        assert len(pictures) == 12
        for url in pictures.values():
            assert url.startswith("data:image/jpeg;base64,")
        drawn = browser.part(f"compare.strips.{side}.strip")["type"]["properties"]
        assert set(drawn) == set(pictures)
    browser.event("on_compare_show", side="right")
    want = search(indexed, query, "detail_global").ids
    assert browser.shown(indexed).values("id") == want
    browser.event("on_compare_open", id=want[0])
    assert ("open_sample", want[0]) in [(n, p.get("id")) for n, p in browser.requests]


def test_compare_an_index_with_itself(browser):
    browser.state["compare"] = {
        "which": {"left": "detail", "right": "detail"}, "prompts": [THING]
    }
    browser.state["tab"] = "compare"
    assert "choose two different indexes" in browser.event("on_compare")
    assert browser.severity == "error" and "compare" in browser.names()


def test_compare_with_one_index_only(on_mine, mine):
    deletion.delete_any(mine, "detail_global")
    assert on_mine.tab("compare") is None
    assert on_mine.part("compare.start.compute")
    assert on_mine.part("compare.which") is None
    on_mine.state["compare"] = {"prompts": [THING]}
    assert on_mine.event("on_compare")


def test_an_index_that_was_compared_is_deleted(on_mine, mine):
    on_mine.state["tab"] = "compare"
    on_mine.state["compare"]["prompts"] = [THING]
    on_mine.event("on_compare")
    deletion.delete_any(mine, "detail_global")
    assert "choose one of ['detail']" in on_mine.event("on_compare")
    message = on_mine.event("on_compare_show", side="right")
    assert "detail_global" in message


@pytest.fixture(scope="module")
def evaluated(indexed):
    evaluate = foo.get_operator(f"{OPERATORS}/evaluate_retrieval")
    evaluate(indexed, KEYS[::-1], "ground_truth", name="measured_1")
    yield indexed
    evaluation_runs.delete(indexed, "measured_1")


def test_an_evaluation(browser, evaluated):
    assert browser.tab("evaluate") is None
    assert browser.get("evaluations") == ["measured_1"]
    assert "**measured_1**" in browser.get("measured.summary")
    assert browser.part("evaluate.worst") and browser.part("evaluate.plot")
    rows = pydash.get(browser.data, "evaluate.worst")
    assert [row["label"] for row in rows] == browser.get("measured.classes")
    assert browser.event("on_class", row=1) is None
    (prompt,) = browser.get("search.prompts")
    assert rows[1]["label"] in prompt and browser.get("search.threshold") == 0
    want = search(evaluated, prompt, browser.get("search.which.brain_key")).ids
    assert browser.shown(evaluated).values("id") == want
    assert "changed meanwhile: try again" in browser.event("on_class", row=99)
    browser.state["evaluate"]["name"] = "gone"
    assert "gone" in browser.event("on_evaluation")


def test_nothing_was_evaluated(on_mine):
    assert on_mine.tab("evaluate") is None
    assert on_mine.part("evaluate.intro") and on_mine.part("evaluate.worst") is None
    on_mine.event("on_evaluate")
    assert on_mine.asked()[0] == "evaluate_retrieval"
    assert "try again" in on_mine.event("on_class", row=0)


def test_indexes(on_mine, mine):
    mine.add_sample(fo.Sample(filepath=mine.first().filepath))
    mine.add_sample(fo.Sample(filepath="/nowhere.png"))
    index.compute(mine.skip(9), SETTINGS).finish()
    assert on_mine.tab("indexes") is None
    rows = pydash.get(on_mine.data, "indexes.list")
    assert [row["brain_key"] for row in rows] == on_mine.get("index_keys") == KEYS
    assert rows[0]["images"] == "8"
    assert on_mine.event("on_index_row", row=0) is None
    coverage = on_mine.get("coverage")
    counts = [coverage[group] for group in ("embedded", "missing", "failed")]
    assert (coverage["brain_key"], counts) == ("detail", [8, 1, 1])
    for group, count in zip(("embedded", "missing", "failed"), counts):
        assert on_mine.event("on_group", group=group) is None
        assert len(on_mine.shown(mine)) == count
    ((reason, count),) = coverage["reasons"]
    assert count == 1 and on_mine.part("indexes.reason0")
    assert on_mine.event("on_group", group="failed", reason=reason) is None
    assert on_mine.shown(mine).values("filepath") == ["/nowhere.png"]


@pytest.mark.parametrize(
    "event, operator",
    [("on_update", "update_index"), ("on_rename", "rename_index"),
     ("on_export", "export_vectors"), ("on_delete_index", "delete_index")],
)
def test_what_can_be_done_with_an_index(browser, event, operator):
    browser.tab("indexes")
    assert browser.event(event, row=1) is None
    name, params = browser.asked()
    assert (name, params["brain_key"]) == (operator, "detail_global")
    assert "try again" in browser.event(event, row=9)


def test_an_index_of_the_list_that_is_gone(on_mine, mine):
    on_mine.tab("indexes")
    on_mine.event("on_index_row", row=1)
    deletion.delete_any(mine, "detail_global")
    assert "detail_global" in on_mine.event("on_index_row", row=1)
    assert "detail_global" in on_mine.event("on_group", group="embedded")
    assert on_mine.tab("indexes") is None
    assert on_mine.get("index_keys") == ["detail"] and on_mine.get("coverage") is None
    assert on_mine.event("on_group", group="embedded")


def test_fusers(browser, indexed):
    browser.tab("fusers")
    assert browser.part("fusers.empty") and browser.part("fusers.list") is None
    browser.event("on_train")
    assert browser.asked()[0] == "train_fuser"
    train = foo.get_operator(f"{OPERATORS}/train_fuser")
    proxies = ["cube", "sphere", "cone", "cylinder", "torus", "red metal cube",
               "blue rubber sphere", "green metal cone", "pyramid", "ring"]
    train(indexed, "solids_1", epochs=1, backbone=demo.NAME, cover=2, device="cpu",
          proxies=proxies)
    assert browser.event("on_fusers_changed") is None
    assert browser.get("fuser_names") == ["solids_1"]
    (row,) = pydash.get(browser.data, "fusers.list")
    assert row["name"] == "solids_1" and row["images"] == "24"
    assert browser.event("on_fuser", row=0) is None
    assert browser.part("fusers.curve") and pydash.get(browser.data, "fusers.curve")
    browser.event("on_apply", row=0)
    name, params = browser.asked()
    assert name == "compute_detail_embeddings"
    assert params["fuser"] == params["brain_key"] == "solids_1"
    browser.event("on_delete_fuser", row=0)
    assert browser.asked() == ("manage_fusers", {"delete": "solids_1"})
    foo.get_operator(f"{OPERATORS}/manage_fusers")(delete="solids_1")
    assert "no trained fuser is called 'solids_1'" in browser.event("on_fuser", row=0)
    browser.event("on_fusers_changed")
    assert browser.get("fuser_names") == [] and browser.part("fusers.list") is None


def test_a_long_tail_report(browser, indexed):
    browser.tab("curate")
    assert browser.part("curate.report") is None
    assert "try again" in browser.event("on_report_row", row=0)
    prompts = [THING, OTHER, "-1, a dash"]
    run("report_long_tail", indexed, prompts=prompts, brain_key="detail", threshold=1)
    assert browser.tab("curate") is None and browser.part("curate.report")
    rows = pydash.get(browser.data, "curate.report")
    for number, row in enumerate(rows):
        assert browser.event("on_report_row", row=number) is None
        assert len(browser.shown(indexed)) == int(row["count"])
    assert browser.get("search.threshold") == 1


@pytest.mark.parametrize(
    "event, operator",
    [("on_classify", "classify_by_prompts"), ("on_long_tail", "report_long_tail"),
     ("on_duplicates", "find_near_duplicates"), ("on_outliers", "find_outliers"),
     ("on_map", "map_embeddings")],
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


def test_history(browser, indexed):
    for text in (THING, OTHER, "a cone"):
        browser.search(text, k=3)
    assert queries(browser) == ["a cone", OTHER, THING]
    browser.search("a ring", k=9, threshold=0.4, templates="plain", method="patches")
    browser.fill(k=3, threshold=0, templates="own", method="vectors")
    assert browser.event("on_history_row", row=3) is None
    assert browser.get("search.prompts") == [THING]
    want = search(indexed, THING, k=3).ids
    assert browser.shown(indexed).values("id") == want
    browser.event("on_history_row", row=1)
    assert browser.get("search.which.method") == "patches"
    assert browser.get("search.options") == {
        "templates": "plain", "k": 9, "within": "dataset"
    }
    assert browser.get("search.threshold") == 0.4
    want = search(indexed, "a ring", "detail", 9, 0.4, "plain", "patches").ids
    assert browser.shown(indexed).values("id") == want
    browser.event("on_history_pin", row=3)
    assert queries(browser)[0].endswith(OTHER) and queries(browser)[0] != OTHER
    browser.event("on_history_delete", row=1)
    assert len(queries(browser)) == 3 and queries(browser)[0].endswith(OTHER)
    browser.event("on_history_pin", row=0)
    assert OTHER in queries(browser)


def test_a_search_of_the_history_that_is_gone(browser, indexed):
    browser.search(THING)
    History(indexed)._store.clear()
    for event in ("on_history_row", "on_history_pin"):
        assert "deleted meanwhile" in browser.event(event, row=0)
    assert browser.event("on_history_delete", row=0) is None
    assert "try again" in browser.event("on_history_row", row=0)
    assert "try again" in browser.event("on_history_row")


def test_two_panels_do_not_influence_each_other(panel, browser, indexed):
    other = Browser(panel, indexed.name)
    other.event("on_load")
    before = pydash.clone_deep(other.state)
    browser.search(THING, k=3, brain_key="detail_global")
    browser.search('open "')
    assert browser.message
    assert other.event("on_look") is None  # no message of the other's
    assert other.state == before
    other.search(OTHER, k=5)
    assert len(browser.shown(indexed)) == 3 and len(other.shown(indexed)) == 5
    assert browser.get("search.prompts") == ['open "']
    browser.event("on_clear")
    assert len(other.shown(indexed)) == 5 and SCORE in other.active


def test_another_data_set(browser, bare, indexed):
    browser.search(THING)
    browser.state["compare"]["prompts"] = [THING]
    browser.event("on_compare")
    browser.dataset_name, browser.view = bare.name, []
    assert browser.event("on_change_dataset") is None
    assert browser.part("start.compute") and browser.summary is None
    browser.dataset_name = indexed.name
    browser.event("on_change_dataset")
    assert browser.get("search.which.brain_key") == "detail"
    assert browser.part("search.prompts") and not browser.get("search.prompts")
    assert browser.get("compare.kept") is None
    assert browser.get("compare.which.left") == "detail"


def test_a_run_is_shown_while_it_goes_on(browser, indexed):
    def steps():
        yield Progress("12 of 24 images", 0.5)

    run = RunBoard(indexed).track("Train fuser", steps())
    next(run)
    browser.tab("indexes")
    assert browser.part("indexes.bar0")["view"]["name"] == "ProgressView"
    assert browser.part("indexes.timer")
    browser.event("on_poll")
    assert browser.get("saw_runs") is True
    list(run)
    browser.data.clear()
    browser.event("on_poll")
    assert browser.part("indexes.bar0") is None and browser.part("indexes.timer")
    assert browser.get("saw_runs") is False
    assert pydash.get(browser.data, "indexes.list")  # what the run made is read
    with pytest.raises(ValueError):
        list(RunBoard(indexed).track("Export", fail()))
    browser.tab("indexes")
    assert "the disk is full" in str(browser.part("indexes.news"))


def test_a_run_is_stopped(browser, indexed, monkeypatch):
    monkeypatch.setattr(run_board, "_EVERY", 0)
    run = RunBoard(indexed).track("Update", [Progress("one", 0.1)] * 9)
    next(run)
    browser.tab("indexes")
    (note,) = RunBoard(indexed).running()
    button = browser.part("indexes.stop0.stop")["view"]
    assert button["params"] == {"id": note.id}
    assert "It stops after this step" in browser.event("on_stop", id=note.id)
    assert list(run) == [] and RunBoard(indexed).running() == []
    browser.event("on_poll")
    assert browser.part("indexes.bar0") is None


@pytest.mark.parametrize("way", ["in_app", "delegated"])
def test_an_operator_whose_run_is_stopped_says_so(indexed, monkeypatch, way):
    operator = foo.get_operator(f"{OPERATORS}/update_index")
    name = type(operator).__module__
    library = f"{name.rpartition('.operators.')[0]}.detail_embed.fiftyone_bridge"
    board = importlib.import_module(f"{library}.run_board")  # as the plugin has it
    monkeypatch.setattr(board, "_EVERY", 0)
    ctx = foo.ExecutionContext(
        request_params={"dataset_name": indexed.name, "params": {}},
        executor=Executor(), operator_uri=operator.uri,
    )

    def steps():
        for _ in range(9):
            yield Progress("embedding", 0.1)
            RunBoard(indexed).stop(RunBoard(indexed).running()[0].id)
        return "all of it"

    with pytest.raises(RuntimeError, match="stopped in the panel: start it again"):
        list(getattr(sys.modules[name].progress, way)(ctx, Run(steps())))
    assert RunBoard(indexed).notes()[0].state == run_board.STOPPED


def fail():
    raise ValueError("the disk is full: free some space")
    yield


EVENTS = sorted(
    name
    for name in dir(type(foo.get_operator(PANEL)))
    if name.startswith("on_") and name not in ("on_startup", "on_unload")
)


@pytest.mark.parametrize("event", EVENTS)
def test_no_event_raises_whatever_the_state(panel, indexed, event):
    for state in (
        {"tab": None, "search": None, "compare": None},
        {"tab": "nowhere", "search": {"which": {"brain_key": "nope", "method": "-"}}},
    ):
        odd = Browser(panel, indexed.name)
        odd.state = state
        odd.event(event, row=0, side="left", group="embedded", id="0" * 24)
        if event != "on_poll":  # which draws nothing where nothing runs
            assert odd.output["type"]["properties"]
