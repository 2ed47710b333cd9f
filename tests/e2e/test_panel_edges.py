"""The panel where things are not as usual: two users, things deleted, no images."""

from __future__ import annotations

import fiftyone as fo
import pytest
from playwright.sync_api import expect

from detail_embed import clver_ds
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index import delete
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search.history import History
from tests.e2e.app_page import AppPage
from tests.e2e.conftest import SCREENSHOTS, app_server
from tests.e2e.panel_page import PanelPage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME, GONE, FILMS = "edge-scenes", "edge-gone", "edge-films"
SCENES = 24
THING, OTHER = "red rubber dome", "whale"
SETTINGS = Settings(
    backbone=DEMO, cover=3, fuser="ridge", proxy_field="ground_truth",
    keep_features="float16", device="cpu",
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory, data):
    """Scenes with a detail index that keeps features, and one of whole images."""
    folder = tmp_path_factory.mktemp("edges")
    clver_ds.generate(folder, SCENES, size=448, seed=11, scales=(0.12, 0.3))
    for name in (NAME, GONE, FILMS):
        if fo.dataset_exists(name):
            fo.delete_dataset(name)
    dataset = load_clver_ds(folder, NAME)
    compute_index.compute(
        Index(dataset, "detail"), dataset, SETTINGS, also_global=True
    ).finish()
    yield dataset
    for name in (NAME, GONE, FILMS):
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


@pytest.fixture
def other(page, scenes):
    """The panel of somebody with a browser and an App server of their own."""
    with app_server() as url:
        context = page.context.browser.new_context()
        app = AppPage(context.new_page(), url, SCREENSHOTS)
        app.open_dataset(NAME)
        panel = PanelPage(app)
        panel.open()
        yield panel
        context.close()


@pytest.fixture(scope="module")
def panel(served, scenes):
    """The panel of the first user."""
    served.open_dataset(NAME)
    panel = PanelPage(served)
    panel.open()
    yield panel
    served.shoot("last-edges")


def _paths(dataset, text):
    found = DetailIndex(dataset, "detail").search(text, k=len(dataset))
    return found.view.values("filepath")


def _queries(dataset):
    return [entry.query for entry in History(dataset).entries()]


def _is_one_sample(response):
    return "on ImageSample { sample }" in (response.request.post_data or "")


def _show(panel):
    """Opens the panel where another dataset closed it."""
    more = panel.app.hook("new-panel-btn").first
    more.wait_for()
    if not panel.app.hook("panel-tab-detail_search").count():
        more.click()
        panel.page.get_by_text("Detail Search", exact=True).first.click()
    panel.page.wait_for_timeout(2500)  # what is typed while it loads is lost


def test_prompts_are_taken_away(panel, scenes):
    everything = scenes.values("filepath")
    both = panel.search(THING) and panel.add("+ also", OTHER)
    alone = panel.take_away(THING)
    assert panel.prompts == [OTHER] and alone != both
    assert alone == _paths(scenes, OTHER)[: len(alone)]
    assert _queries(scenes) == [OTHER, f"{THING}, {OTHER}", THING]

    assert panel.clear() == everything[: len(alone)]
    expect(panel.page.get_by_text("best first")).to_have_count(0)
    panel.page.wait_for_timeout(1500)  # an event that comes late would search again
    expect(panel.app.hook("tag-detail_score")).to_have_count(0)
    assert panel.prompts == [] and len(_queries(scenes)) == 3


def test_another_user_sees_nothing_of_it(panel, other):
    before = other.page.url, other.app.hook("view-bar").inner_text()
    found = panel.search(THING)
    panel.enter('a "cube')
    panel.await_text("quote is not closed")
    other.page.wait_for_timeout(1500)
    assert other.prompts == []
    expect(other.page.get_by_text("best first")).to_have_count(0)
    expect(other.page.get_by_text("quote is not closed")).to_have_count(0)
    expect(other.app.hook("tag-detail_score")).to_have_count(0)
    assert before == (other.page.url, other.app.hook("view-bar").inner_text())
    assert other.search(OTHER) != found
    assert panel.prompts == [THING]
    expect(panel.box).to_have_value('a "cube')  # to be mended
    panel.box.fill("")
    panel.clear()


def test_by_example(panel, scenes):
    app = panel.app
    chosen = scenes.values("filepath")[5]
    app.pick(5)
    panel.button("By example").click()
    expect(app.form).to_contain_text("Like the selected images: 1")
    expect(app.form).not_to_contain_text("Index name")
    found = app.images_of(app.execute, "detail_score")
    assert found[0] == chosen
    panel.await_text("^Like 1 image$")
    app.shoot("21-panel-example")
    mixed = panel.search(THING)
    assert mixed != found
    text = _paths(scenes, THING)
    assert app.images_of(panel.button("Forget").click) == text[: len(found)] != mixed
    expect(panel.page.get_by_text("Like 1 image")).to_have_count(0)

    panel.button("By example").click()
    app.form.locator('input[type="file"]').set_input_files(chosen)
    assert chosen in app.images_of(app.execute, "detail_score")[:3]  # near a tie
    panel.await_text("^Like 1 picture")
    panel.clear()


def test_curate(panel, scenes):
    app = panel.app
    panel.tab("Curate")
    panel.button("Long-tail report").click()
    app.form.locator("textarea").first.fill(f"{THING}\n{OTHER}\na green helmet")
    app.fill("Threshold", "1.5")
    app.execute()
    panel.await_text("those count whose z-score")
    app.close_report()
    rows = panel.page.locator("tbody tr")
    expect(rows).to_have_count(3)
    assert {row.split("\t")[0] for row in rows.all_inner_texts()} == {
        THING, OTHER, "a green helmet"
    }
    count = int(panel.row(THING).locator("td").nth(1).inner_text())
    assert len(app.images_of(panel.row(THING).click, "detail_score")) == count > 0
    app.shoot("22-panel-curate")

    panel.button("Classify").click()
    app.form.locator("textarea").first.fill("dome\npyramid\nwhale")
    app.execute()
    panel.await_text("images were classified")
    app.close_report()
    scenes.reload()
    assert set(scenes.distinct("prompt_label.label")) <= {"dome", "pyramid", "whale"}
    # of all images, and not only of those that the search shows
    assert len(scenes.exists("prompt_label")) == SCENES
    panel.tab("Search")
    panel.clear()


def test_show_where_in_an_open_image(panel, scenes):
    """The form has the text of the search that is shown."""
    app = panel.app
    panel.choose("Search", "By all patches")
    panel.search(THING)
    panel.close_up(2).click()
    modal = app.hook("modal")
    modal.wait_for()
    panel.page.locator('img[src$="detail-embed/assets/icon.svg"]').last.click()
    text = app.form.locator("input").first
    expect(text).to_have_value(THING)
    with panel.page.expect_response(_is_one_sample):
        app.execute()
    expect(app.report).to_contain_text("in 1 image")
    app.close_report()
    scenes.reload()
    (path,) = scenes.exists("detail_where").values("filepath")
    assert path == _paths(scenes, THING)[1]
    panel.page.wait_for_timeout(1000)  # until it is drawn
    app.shoot("23-modal-where")
    for _ in range(5):
        if modal.count():
            panel.page.keyboard.press("Escape")
            panel.page.wait_for_timeout(1500)
    expect(modal).to_have_count(0)
    panel.clear()


def test_videos(panel):
    films = fo.Dataset(FILMS, persistent=True)
    films.add_sample(fo.Sample(filepath="/nowhere/film.mp4"))
    panel.page.goto(f"{panel.app.url}/datasets/{FILMS}")
    _show(panel)
    panel.await_text("Find what appears in videos, and when")


def test_the_index_then_the_dataset_are_deleted(panel, scenes):
    scenes.clone(GONE, persistent=True)
    gone = fo.load_dataset(GONE)
    panel.app.open_dataset(GONE)
    _show(panel)
    panel.await_drawn()
    panel.search(THING)

    gone.reload()
    delete.delete(Index(gone, "detail"))
    assert gone.list_brain_runs() == []
    panel.enter(OTHER)
    panel.await_text("compute an index first")
    panel.page.wait_for_timeout(6000)  # longer than the panel polls
    panel.await_text("compute an index first")
    panel.button("Compute an index").click()
    panel.app.cancel()

    gone.delete()
    panel.button("Look again").click()
    panel.await_text("was deleted or renamed. Open another dataset")
    panel.app.open_dataset(NAME)
    _show(panel)
    panel.await_drawn()
    assert panel.search(THING)
