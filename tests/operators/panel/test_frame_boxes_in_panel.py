"""Boxes of frames of videos in the panel and by the operators."""

import fiftyone.operators as foo
import pytest
from fiftyone.core.patches import PatchesView
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from tests.browser import Browser
from tests.fiftyone_bridge.compute.test_frame_boxes import FIELD, add_boxes
from tests.forms import problems_of
from tests.operators.panel.helpers import OPERATORS, THING, run
from tests.videos import load_videos

KEY = "detail_boxes"


@pytest.fixture(scope="module")
def boxed(tmp_path_factory):
    """Two videos whose frames have boxes, with an index that the operator made."""
    folder = tmp_path_factory.mktemp("videos")
    videos = load_videos(folder)
    videos.to_frames(sample_frames=True, output_dir=str(folder / "frames"), fps=5)
    add_boxes(videos)
    compute = foo.get_operator(f"{OPERATORS}/compute_detail_embeddings")
    compute(
        videos.to_frames(), backbone=DEMO, cover=2, fuser="mean", vectors=1,
        device="cpu", keep_features=False, patches_field=FIELD,
    )
    yield videos
    videos.delete()


@pytest.fixture(params=["videos", "frames"])
def browser(panel, boxed, request):
    browser = Browser(panel, boxed.name)
    if request.param == "frames":
        browser.view = boxed.to_frames()._serialize()
    browser.event("on_load")
    return browser.fill(brain_key=KEY)


def opened(browser):
    return [(name, params.get("id")) for name, params in browser.requests]


@pytest.mark.slow
def test_boxes_of_frames_are_shown_as_close_ups(browser, boxed):
    assert browser.search(THING, k=6) is None
    shown, expected = browser.shown(boxed), DetailIndex(boxed, KEY).search(THING, k=6)
    assert isinstance(shown, PatchesView) and shown.values("id") == expected.ids
    assert shown.values("frame_id") == expected.sample_ids
    assert shown.values("detail_score") == [round(s, 4) for s in expected.scores]
    assert "of 24 boxes, best first" in browser.summary
    hits = browser.part("search.strip")["view"]["hits"]
    assert [hit["id"] for hit in hits] == expected.ids
    assert [hit["box"] for hit in hits] == expected.boxes
    browser.event("on_open", id=expected.ids[3])
    assert ("open_sample", expected.ids[3]) in opened(browser)

    browser.request["selected"] = expected.ids[2:3]
    assert browser.event("on_similar") is None
    alike = DetailIndex(boxed, KEY).search(like=expected.ids[2:3], k=6).ids
    assert browser.shown(boxed).values("id") == alike
    browser.request.pop("selected")

    browser.event("on_close_ups")
    frames = browser.shown(boxed)
    assert frames.media_type == "image" and not isinstance(frames, PatchesView)
    browser.event("on_clear")


def test_boxes_of_frames_by_example_of_a_label(browser, boxed):
    browser.view = boxed.to_frames()._serialize()
    frame = boxed.to_frames().first()
    label = frame[FIELD].detections[1].id
    browser.request["selected_labels"] = [
        {"sample_id": frame.id, "field": FIELD, "label_id": label}
    ]
    assert browser.event("on_similar") is None
    assert browser.shown(boxed).first().id == label


def test_mistaken_labels_of_frames_in_the_curate_tab(browser, boxed):
    browser.tab("curate")
    run("find_mistaken_labels", boxed, brain_key=KEY, count=7)
    assert browser.tab("curate") is None
    hits = browser.part("curate.strip")["view"]["hits"]
    assert len(hits) == 7 and hits[0]["box"]
    browser.event("on_mistaken_show")
    shown = browser.shown(boxed)
    assert shown.values("id") == [hit["id"] for hit in hits]
    browser.event("on_mistaken_open", id=hits[1]["id"])
    assert ("open_sample", hits[1]["id"]) in opened(browser)


@pytest.mark.parametrize("of_frames", [True, False])
@pytest.mark.slow
def test_the_operators_take_boxes_of_frames(boxed, of_frames):
    view = boxed.to_frames() if of_frames else boxed.view()
    for name, params in (
        ("find_near_duplicates", {"threshold": 0.5}),
        ("find_outliers", {"count": 3}),
        ("map_embeddings", {"method": "pca"}),
        ("tag_hits", {"query": "a cube", "tag": "seen"}),
        ("search_by_prompts", {"text": "a cube", "k": 3}),
        ("update_index", {}),
    ):
        request = {"dataset_name": boxed.name, "view": view._serialize()}
        key = "detail" if name == "update_index" else KEY
        request["params"] = {"brain_key": key, **params}
        ctx = foo.ExecutionContext(
            request_params=request, executor=Executor(), operator_uri=name
        )
        operator = foo.get_operator(f"{OPERATORS}/{name}")
        assert problems_of(operator.resolve_input(ctx)) == [], name
        found = operator.execute(ctx)
        assert "problem" not in (found or {}), (name, found)


def test_the_form_offers_the_fields_of_frames(boxed):
    request = {
        "dataset_name": boxed.name, "view": boxed.to_frames()._serialize(),
        "params": {"brain_key": "other", "show_advanced": True, "advanced": True},
    }
    ctx = foo.ExecutionContext(request_params=request, executor=Executor())
    operator = foo.get_operator(f"{OPERATORS}/compute_detail_embeddings")
    assert FIELD in str(operator.resolve_input(ctx).to_json())


def test_videos_are_not_searched_by_boxes(boxed):
    from detail_embed.fiftyone_bridge.video.search_videos import search_videos

    with pytest.raises(ValueError, match="of the boxes of 'things': search it with"):
        search_videos(DetailIndex(boxed, KEY), THING)
