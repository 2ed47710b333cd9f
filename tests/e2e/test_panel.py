"""The Detail Search panel in the real App, from the first open to the last delete."""

from __future__ import annotations

import re

import fiftyone as fo
import pytest
from playwright.sync_api import expect

from detail_embed import clver_ds
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from tests.e2e.app_page import FIRST_LOAD, SEARCH, is_first_page
from tests.e2e.panel_page import PanelPage

pytestmark = pytest.mark.e2e

NAME = "panel-scenes"
SCENES = 40
THING, OTHER = "red metal cube", "blue rubber sphere"
LONG = 240  # seconds, on a busy machine


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Scenes as a dataset without an index."""
    folder = tmp_path_factory.mktemp("panel")
    clver_ds.generate(folder, SCENES, size=448, seed=11, scales=(0.12, 0.3))
    if fo.dataset_exists(NAME):
        fo.delete_dataset(NAME)
    dataset = load_clver_ds(folder, NAME)
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def panel(served, scenes):
    """The panel, open beside the grid of the scenes."""
    served.open_dataset(NAME)
    panel = PanelPage(served)
    panel.open()
    yield panel
    served.shoot("last-panel")


def test_from_nothing_to_an_index(panel, scenes):
    panel.await_text("no index yet")
    panel.app.shoot("9-panel-start")
    panel.button("Compute an index").click()
    app = panel.app
    app.fill("Model", DEMO)
    app.execute()
    panel.await_text(r"\d images/s", LONG)
    app.shoot("9-panel-progress")
    expect(app.hook("detail-prompt-box")).to_be_visible(timeout=1000 * LONG)
    expect(app.hook("detail-examples")).to_be_visible(timeout=FIRST_LOAD)
    scenes.reload()
    assert set(similarities(scenes)) == {"detail", "detail_global", "detail_single"}
    assert "detail_map" in scenes.list_brain_runs()


def test_search_but_not_threshold(panel, scenes):
    found = panel.search(THING)
    answer = DetailIndex(scenes, "detail").search(THING)
    paths = answer.view.values("filepath")
    assert found == paths[: len(found)] and len(found) >= 20
    panel.await_text("25 of 40 images, best first, by all patches, in .* ms")
    expect(panel.close_up(12)).to_be_visible()
    expect(panel.close_up(13)).to_have_count(0)
    panel.app.shoot("10-panel-search")

    close = panel.app.images_of(panel.button("Close-ups").click, "detail_match")
    assert close == paths[: len(close)] and len(close) >= 12
    panel.app.shoot("21-panel-close-ups")
    assert panel.app.images_of(panel.button("Images").click, "detail_match") == found

    off = panel.add("− but not", "a yellow thing")
    assert panel.prompts == [THING, "-a yellow thing"] and off != found
    panel.await_text("best first")
    panel.app.shoot("11-panel-but-not")

    cut = panel.app.images_of(lambda: panel.slide(0.75), "detail_score")
    query = ", ".join(panel.prompts)
    ranked = DetailIndex(scenes, "detail").search(query, k=SCENES).view
    assert 0 < len(cut) < len(off)
    assert cut == [path for path in ranked.values("filepath") if path in set(cut)]
    summary = panel.await_text("All that stand out by").inner_text()
    count = summary.split(" ")[0]
    expect(panel.page.get_by_text(f"{count} samples", exact=True)).to_be_visible()
    panel.app.settle()
    panel.app.shoot("12-panel-threshold")


def test_each_prompt_is_shown_at_its_place(panel, scenes):
    panel.clear()
    panel.search(f"{THING}, {OTHER}")
    assert ", ".join(panel.prompts) == f"{THING}, {OTHER}"
    answer = DetailIndex(scenes, "detail").search(f"{THING}, {OTHER}")
    assert {len(places) for places in answer.places} >= {2}
    for place, places in enumerate(answer.places[:3], 1):
        pictures = panel.close_up(place).locator("img")
        expect(pictures).to_have_count(len(places))
        expect(pictures.last).to_be_visible()
    panel.app.shoot("26-panel-two-prompts")
    panel.app.images_of(panel.button("Close-ups").click, "detail_match")
    labels = answer.view.values("detail_match.detections.label")
    count = sum(map(len, labels))
    panel.page.get_by_text(f"{count} patches", exact=True).wait_for()
    panel.app.shoot("26-panel-two-prompts-close")
    panel.app.images_of(panel.button("Images").click, "detail_match")


def test_nothing_typed_is_lost(panel):
    """The box has the focus, and keeps what is typed while a search runs."""
    panel.clear()
    panel.page.reload()
    panel.await_drawn()
    expect(panel.box).to_be_focused()
    panel.page.keyboard.type(f"{THING}\n")
    for word in ("whale", " in", " the", " sand"):
        panel.page.keyboard.type(word)
        panel.page.wait_for_timeout(300)
    panel.await_text("best first")
    panel.page.wait_for_timeout(1500)
    expect(panel.box).to_have_value("whale in the sand")
    expect(panel.box).to_be_focused()
    assert panel.prompts == [THING]
    panel.box.fill("red me")
    panel.page.get_by_role("option", name=THING, exact=True).wait_for()
    panel.app.shoot("24-panel-suggestions")
    panel.box.fill("")


def test_show_where(panel, scenes):
    panel.search(THING)
    with panel.page.expect_response(is_first_page, timeout=SEARCH):
        panel.button("Show where").click()
    expect(panel.button("Hide where")).to_be_visible()
    panel.app.settle()
    panel.app.shoot("13-panel-where")
    scenes.reload()
    assert len(scenes.exists("detail_where")) == len(scenes.exists("detail_heatmap"))
    assert scenes.count("detail_where.detections") > 0


def test_show_attention(panel, scenes):
    """Where the model looks, whatever the prompt, is drawn beside it."""
    app = panel.app
    panel.button("Hide where").click()
    panel.button("Show attention").click()
    expect(app.form).to_contain_text("whatever the prompt")
    with panel.page.expect_response(is_first_page, timeout=SEARCH):
        app.execute()
    expect(app.report).to_contain_text("Heat maps in")
    app.close_report()
    app.settle()
    app.shoot("25-panel-attention")
    scenes.reload()
    assert len(scenes.exists("detail_attention")) == scenes.count("detail_attention")
    assert scenes.count("detail_attention") > 0


def test_a_wrong_line_is_pointed_at(panel):
    panel.enter('a "cube')
    panel.await_text("quote is not closed")
    panel.app.shoot("14-panel-error")


def test_compare(panel):
    panel.tab("Compare")
    panel.enter(THING)
    panel.page.keyboard.type("blue")
    panel.await_text("only here")
    expect(panel.box).to_have_value("blue")
    expect(panel.box).to_be_focused()
    assert panel.prompts == [THING]
    panel.box.fill("")
    expect(panel.pictures("left")).to_have_count(12)
    expect(panel.pictures("right")).to_have_count(12)
    panel.app.shoot("15-panel-compare")


def test_save_the_view_and_reload_the_page(panel, scenes):
    panel.app.images_of(panel.button("Show in grid").first.click, "detail_score")
    panel.tab("Search")
    panel.button("Save view").click()
    name = panel.app.form.locator("input").first
    name.fill("red cubes")
    panel.app.form.get_by_role("button", name=re.compile("Save|Execute")).last.click()
    expect(panel.app.form).to_have_count(0)
    scenes.reload()
    assert scenes.list_saved_views() == ["red cubes"]
    assert "detail_score" in scenes.load_saved_view("red cubes").get_field_schema()

    panel.page.reload()
    panel.await_drawn()
    panel.await_text("25 of 40 images, best first")
    assert panel.prompts == [THING]
    panel.app.shoot("16-panel-reloaded")


def test_train_with_the_curve_visible(panel):
    panel.tab("Fusers")
    panel.button("Train a fuser").click()
    app = panel.app
    app.fill("Name", "tiny")
    app.choose("Fuser", "transformer")  # slow enough to be watched
    app.fill("Time budget in minutes", "0.3")
    app.fill("Model", DEMO)
    app.choose("Classes of a label field", "ground_truth")
    app.execute()
    curve = panel.page.locator(".js-plotly-plot .legendtext")
    expect(curve.first).to_be_visible(timeout=1000 * LONG)
    panel.await_text("Train fuser · Epoch")
    app.shoot("17-panel-training")
    panel.row("tiny").click(timeout=1000 * LONG)
    panel.await_text("^tiny$")
    expect(curve.first).to_be_visible()
    app.shoot("17-panel-fusers")


def test_evaluate(panel):
    panel.tab("Evaluate")
    panel.button("Evaluate").click()
    panel.app.execute()
    panel.await_text("Worst classes", LONG)
    panel.app.shoot("18-panel-evaluate")
    worst = panel.page.locator("tbody tr").last
    panel.app.images_of(worst.click, "detail_score")


def test_delete_the_index(panel, scenes):
    panel.tab("Indexes")
    panel.row("whole images").click()
    panel.await_text("Embedded: 40")
    panel.app.shoot("19-panel-indexes")
    panel.row("vectors").get_by_role("button").last.click()
    panel.app.execute("Delete")
    panel.await_text("no index yet")
    scenes.reload()
    assert scenes.list_brain_runs() == []
    panel.app.shoot("20-panel-deleted")
