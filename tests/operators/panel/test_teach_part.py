"""Thumbs up and down in the panel, and what is kept of them."""

import fiftyone.operators as foo
import pydash
import pytest
from fiftyone.operators.executor import ExecutionError

from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.concepts import kept
from detail_embed.fiftyone_bridge.concepts.concept import Mark
from detail_embed.fiftyone_bridge.teach.teach import learn_concept
from tests.operators.panel.helpers import OPERATORS, OTHER, THING, queries


@pytest.fixture
def taught(browser, indexed):
    """A panel that shows a search; concepts are forgotten afterwards."""
    browser.search(THING, k=24)
    yield browser
    for name in kept.names(indexed):
        kept.delete(indexed, name)


def note(browser):
    part = browser.part("search.taught")
    return part and part["default"]


def hits(browser):
    return browser.part("search.strip")["view"]["hits"]


def judge(browser, hit, good):
    return browser.event("on_judge", id=hit["id"], box=hit["box"], good=good)


def rows(browser):
    return [row["name"] for row in pydash.get(browser.data, "search.concepts", [])]


def do(operator, dataset, params, **ctx):
    return foo.execute_operator(
        f"{OPERATORS}/{operator}", ctx={"dataset": dataset, "params": params, **ctx}
    ).result


def test_a_thumb_is_followed_at_once_and_can_be_taken_back(taught, indexed):
    plain, asked = taught.shown(indexed).values("id"), queries(taught)
    assert note(taught) is None and taught.part("search.teach.more")
    first, second, *_ = hits(taught)
    assert first["judged"] is None
    assert judge(taught, first, good=False) is None
    assert note(taught) == "Taught by **0** up and **1** down."
    judge(taught, second, good=True)
    assert note(taught) == "Taught by **1** up and **1** down."
    marks = [[(hit["id"], hit["box"])] for hit in (second, first)]
    index = DetailIndex(indexed, "detail")
    concept = learn_concept(index, *marks, THING)
    want = index.search(concept.vector, k=24).ids
    assert taught.shown(indexed).values("id") == want != plain
    by_id = {hit["id"]: hit["judged"] for hit in hits(taught)}
    assert by_id[second["id"]] is True and by_id.get(first["id"]) in (False, None)
    assert taught.shown(indexed).first()["detail_match"].detections[0].label == THING
    assert queries(taught) == asked  # a search that was judged is no line of prompts
    judge(taught, second, good=False)  # another mind
    assert note(taught) == "Taught by **0** up and **2** down."
    for hit in (first, second):
        judge(taught, hit, good=False)
    assert note(taught) is None
    assert taught.shown(indexed).values("id") == plain


def test_what_is_selected_is_judged(taught, indexed):
    message = taught.event("on_more")
    assert "Select images in the grid or boxes" in message
    ids = taught.shown(indexed).values("id")
    taught.request["selected"] = ids[:2]
    taught.event("on_more")
    names = [name for name, _ in taught.requests]
    assert {"clear_selected_samples", "clear_selected_labels"} <= set(names)
    label = indexed[ids[5]].ground_truth.detections[0]
    taught.request["selected_labels"] = [
        {"sample_id": ids[5], "field": "ground_truth", "label_id": label.id}
    ]
    taught.event("on_less")
    assert note(taught) == "Taught by **2** up and **1** down."
    taught.event("on_keep")
    name, params = taught.asked()
    assert name == "teach_concept" and params["text"] == THING
    assert [one["sample_id"] for one in params["positives"]] == ids[:2]
    (down,) = params["negatives"]
    assert down["box"] == pytest.approx(label.bounding_box)
    taught.request["selected_labels"][0]["label_id"] = "0" * 24
    assert "select another" in taught.event("on_less")
    assert note(taught) == "Taught by **2** up and **1** down."


def test_close_ups_that_are_selected_are_judged_by_their_boxes(taught, indexed):
    taught.event("on_close_ups")
    close = taught.shown(indexed)
    patch = close.skip(1).first()
    taught.request["selected"] = [patch.id]
    taught.event("on_more")
    taught.event("on_keep")
    (up,) = taught.asked()[1]["positives"]
    assert up["sample_id"] == patch.sample_id
    assert up["box"] == pytest.approx(patch["detail_match"].bounding_box)


def test_save_use_export_delete(taught, indexed, tmp_path):
    up, down = hits(taught)[:2]
    judge(taught, up, good=True)
    judge(taught, down, good=False)
    want = taught.shown(indexed).values("id")
    taught.event("on_keep")
    params = taught.asked()[1] | {"name": "red thing"}
    made = do("teach_concept", indexed, params)
    assert made == {
        "prompt": '#"red thing"', "positives": 1, "negatives": 1, "left_out": {}
    }
    message = taught.event("on_kept", result=made)
    assert '#"red thing"' in message and rows(taught) == ['#"red thing"']
    concept = kept.read(indexed, "red thing")
    assert concept.positives == (Mark(up["id"], tuple(up["box"])),)
    taught.search(OTHER, k=24)
    assert note(taught) is None
    assert taught.event("on_concept_row", row=0) is None
    assert taught.prompts == ['#"red thing"']
    assert taught.shown(indexed).values("id") == want
    assert queries(taught)[0] == '#"red thing"'
    suggested = taught.part("search.box")["view"]["suggestions"]
    assert suggested[0] == '#"red thing"'
    taught.event("on_concept_export", row=0)
    name, params = taught.asked()
    assert name == "manage_concepts"
    assert params == {"action": "export", "concept": '#"red thing"'}
    path = str(tmp_path / "red.safetensors")
    assert "red thing" in do(name, indexed, params | {"path": path})["concepts"]
    taught.event("on_concept_delete", row=0)
    left = do(name, indexed, taught.asked()[1])["concepts"]
    assert "no concept yet" in left
    taught.event("on_managed")
    assert rows(taught) == [] and taught.part("search.concepts") is None
    assert "teach it one" in taught.search('#"red thing"')
    do(name, indexed, {"action": "import", "path": path})
    assert kept.names(indexed) == ["red thing"]


def test_the_most_uncertain_are_shown_to_be_judged(taught, indexed):
    up, *_, down = hits(taught)
    judge(taught, up, good=True)
    judge(taught, down, good=False)
    ranked = taught.shown(indexed).values("id")
    assert taught.event("on_uncertain") is None
    shown = taught.shown(indexed).values("id")
    assert len(shown) == 12 and not {up["id"], down["id"]} & set(shown)
    assert [hit["id"] for hit in hits(taught)] == shown
    assert "**12** images to judge next" in taught.summary
    judge(taught, hits(taught)[0], good=True)
    assert note(taught) == "Taught by **2** up and **1** down."
    assert set(taught.shown(indexed).values("id")) == set(ranked)
    taught.event("on_uncertain")
    taught.event("on_clear")
    assert taught.shown(indexed).values("id") == indexed.values("id")


def test_forget_and_come_back(taught, indexed):
    plain = taught.shown(indexed).values("id")
    judge(taught, hits(taught)[0], good=False)
    learned = taught.shown(indexed).values("id")
    taught.search(OTHER, k=24)
    assert note(taught) is None
    taught.search(THING, k=24)
    assert taught.shown(indexed).values("id") == learned
    taught.event("on_forget")
    assert note(taught) is None
    assert taught.shown(indexed).values("id") == plain


def test_without_a_search_there_is_nothing_to_judge(browser):
    assert browser.part("search.teach") is None
    assert "search again" in browser.event("on_judge", id="0" * 24, box=None, good=True)
    assert "search again" in browser.event("on_uncertain")
    assert "try again" in browser.event("on_concept_row", row=0)


def test_an_image_that_is_gone_takes_no_judgement_with_it(taught):
    message = taught.event("on_judge", id="0" * 24, box=None, good=True)
    assert "is not in the dataset" in message and note(taught) is None


def test_an_example_and_thumbs(taught, indexed):
    sample = indexed.skip(4).first()
    params = {"for_panel": True, "brain_key": "detail"}
    made = do("search_by_prompts", indexed, params, selected=[sample.id])
    taught.event("on_example_given", result=made)
    assert note(taught) is None
    judge(taught, hits(taught)[1], good=True)
    assert note(taught) == "Taught by **1** up and **0** down."
    taught.event("on_keep")
    params = taught.asked()[1]
    assert len(params["vector"]) == len(made["vector"])
    do("teach_concept", indexed, params | {"name": "both"})
    assert kept.read(indexed, "both").text is None


def test_the_forms(indexed, taught):
    teach = foo.get_operator(f"{OPERATORS}/teach_concept")
    manage = foo.get_operator(f"{OPERATORS}/manage_concepts")
    ids = indexed.limit(2).values("id")
    concept = teach(indexed, "one", ids[:1], ids[1:], text=THING)
    assert manage(indexed)["one"].facts() == concept.facts()
    with pytest.raises(ValueError, match="belong together"):
        manage(indexed, rename="one")
    with pytest.raises(ValueError, match="belong together"):
        manage(indexed, export="one")
    assert list(manage(indexed, rename="one", new_name="two")) == ["two"]
    made = do(
        "teach_concept", indexed,
        {"name": "three", "brain_key": "detail", "selected_are": "down",
         "text": THING},
        selected=ids,
    )
    assert made["negatives"] == 2
    with pytest.raises(ExecutionError, match="'three' already.* switch on 'Rep"):
        do("teach_concept", indexed, {"name": "three", "text": THING})
    assert list(manage(indexed, delete="three")) == ["two"]


@pytest.mark.parametrize(
    ("operator", "params", "said"),
    [
        ("manage_concepts", {}, "no concept yet"),
        ("manage_concepts", {"action": "delete"}, "choose the concept to delete"),
        ("manage_concepts", {"action": "fly"}, "give one of rename, delete, export"),
        ("manage_concepts", {"action": "delete", "concept": "#no"}, "no concept 'no'"),
        ("manage_concepts", {"action": "import"}, "give the path of a file"),
        ("manage_concepts", {"action": "import", "path": "/no"}, "no file /no"),
        ("teach_concept", {}, "Not yet|required|a name such as"),
        ("teach_concept", {"name": "a", "positives": ["x"]}, "'x' is no id"),
    ],
)
def test_what_is_missing_is_said(indexed, operator, params, said):
    request = {"dataset_name": indexed.name, "params": params, "filters": {}}
    ctx = foo.ExecutionContext(request_params=request)
    if params or operator == "teach_concept":
        with pytest.raises((ValueError, TypeError), match=said):
            foo.get_operator(f"{OPERATORS}/{operator}").execute(ctx)
    else:
        found = foo.get_operator(f"{OPERATORS}/{operator}").execute(ctx)
        assert said in found["concepts"]
