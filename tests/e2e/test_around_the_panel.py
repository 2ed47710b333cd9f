"""How the panel is opened, and what is near its edges: long names, plots, a stop."""

from __future__ import annotations

import fiftyone as fo
import pytest
from playwright.sync_api import expect

from detail_embed import clver_ds
from detail_embed.backbone.bundled_model import KNOWS
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.evaluate.evaluate_retrieval import evaluate
from detail_embed.fiftyone_bridge.runs.board import RunBoard
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from tests.e2e.panel_page import PanelPage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME, MADE = "edge-scenes", "made-in-the-app"
KEY = "detail_of_all_the_photographs_that_were_taken_in_the_harbour_in_2026"
ICON = "pageview"
THINGS = ["red metal cube", "a thing that nobody has seen and that has a long name"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Scenes with an index and an evaluation, both with a long name."""
    folder = tmp_path_factory.mktemp("edges")
    clver_ds.generate(folder, 16, size=256, seed=12, scales=(0.2, 0.4))
    for name in (NAME, MADE):
        if fo.dataset_exists(name):
            fo.delete_dataset(name)
    dataset = load_clver_ds(folder, NAME)
    index = DetailIndex(dataset, KEY)
    index.compute(backbone=DEMO, cover=2, fuser="mean")
    evaluate(dataset, index.keys, "ground_truth").finish()
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def panel(served, scenes):
    """The page of the scenes; the panel is closed."""
    served.open_dataset(NAME)
    yield PanelPage(served)
    served.shoot("last-around")


def test_the_toolbar_opens_the_panel(panel):
    page = panel.page
    button = page.locator('img[src$="detail-embed/assets/icon.svg"]')
    panel.app.hook("new-panel-btn").first.click()
    expect(page.get_by_text("Detail Search", exact=True)).to_be_visible()
    expect(page.get_by_test_id(ICON).or_(page.get_by_text(ICON))).to_be_visible()
    panel.app.shoot("30-panel-menu")
    page.keyboard.press("Escape")
    button.click()
    panel.await_drawn()
    tab = panel.app.hook("panel-tab-detail_search")
    expect(tab.get_by_text(ICON, exact=True)).to_be_visible()
    panel.await_text(KNOWS)


def test_the_operator_browser_finds_it_first(panel):
    page = panel.page
    page.evaluate("localStorage.removeItem('recently-used-operators')")
    page.reload()
    panel.await_drawn()
    page.locator("body").click(position={"x": 2, "y": 2})  # out of the box
    page.keyboard.press("`")
    panel.app.hook("operators-browser-search").fill("detail")
    panel.app.shoot("31-operator-browser")
    found = panel.app.hook("operators-browser").inner_text().splitlines()
    assert found[0] == "Open Detail Search"
    page.keyboard.press("Escape")


def test_long_names_do_not_push_the_buttons_out(panel):
    panel.tab("Indexes")
    row = panel.row("whole images")
    expect(row).to_be_visible()
    panel.app.shoot("32-long-names")
    edge = panel.page.viewport_size["width"]
    for button in row.get_by_role("button").all():
        box = button.bounding_box()
        assert box["x"] + box["width"] <= edge


def test_the_wheel_over_a_plot_scrolls(panel):
    panel.tab("Evaluate")
    plot = panel.page.locator(".js-plotly-plot").first
    plot.scroll_into_view_if_needed()
    panel.app.shoot("33-evaluate")
    before = plot.bounding_box()
    plot.hover()
    panel.page.mouse.wheel(0, 60 if before["y"] > 300 else -60)
    panel.page.wait_for_timeout(500)
    assert plot.bounding_box()["y"] != before["y"]


def test_stop_answers_at_once(panel, scenes):
    panel.tab("Indexes")
    run = RunBoard(scenes).track("Compute an index", _slow())
    next(run)
    panel.button("Stop").click(timeout=20_000)
    expect(panel.button("Stops after this step")).to_be_disabled(timeout=3000)
    panel.app.shoot("34-stops")
    assert list(run) == []
    expect(panel.button("Stops after this step")).to_have_count(0, timeout=15_000)


def test_the_making_of_scenes_ends(panel):
    app = panel.app
    app.open_operator("Create CLVER-DS")
    app.fill("Name", MADE)
    app.fill("Number of scenes", "3")
    app.fill("Side in pixels", "128")
    app.execute()
    panel.await_text("3 scenes are made", 60)
    bar = panel.page.get_by_role("progressbar").last
    expect(bar).to_have_attribute("aria-valuenow", "100")
    app.shoot("35-scenes-made")
    app.close_report()
    panel.page.wait_for_url(f"**/{MADE}*")
    fo.delete_dataset(MADE)


def test_the_long_tail_shows_pictures(panel, scenes):
    panel.app.open_dataset(NAME)
    panel.open()
    panel.app.open_operator("Report the long tail")
    panel.app.form.locator("textarea").first.fill("\n".join(THINGS))
    panel.app.execute()
    panel.await_text("those count whose z-score")
    panel.app.close_report()
    panel.tab("Curate")
    pictures = panel.page.locator('img[src^="data:image/jpeg"]')
    expect(pictures).to_have_count(2)
    panel.app.shoot("36-long-tail")
    panel.app.images_of(pictures.first.click, "detail_score")


def _slow():
    from detail_embed.fiftyone_bridge.runs.run import Progress

    for step in range(5):
        yield Progress(f"Measuring on {step} images", 0.1)
