"""The main job in the real App, as a person does it, in a real browser."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone import ViewField as F

from detail_embed import clver_ds, demo
from detail_embed.fiftyone_bridge.datasets import load_clver_ds

from .app_page import AppPage

pytestmark = pytest.mark.e2e

CHECKOUT = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(
    os.environ.get("E2E_SCREENSHOTS", CHECKOUT / "artifacts" / "screenshots")
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --use-gl=swiftshader --enable-unsafe-swiftshader "
    "--ignore-gpu-blocklist"
).split()
SCENES = 48
IN_VIEW = 30
SEED = 35  # scenes of the view hold each of the things searched for
THINGS = ("cupcake", "red metal cube")
DATASET = "small-things"
VIEW = "some"
BRAIN_KEY = "detail"
EMBEDDING = 120  # seconds


@pytest.fixture(scope="module")
def page():
    """A tab of a real browser."""
    sync_api = pytest.importorskip("playwright.sync_api")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs one of these browsers on the PATH: {BROWSERS}")
    with sync_api.sync_playwright() as playwright:
        tab = playwright.chromium.launch(
            executable_path=browser, args=BROWSER_FLAGS
        ).new_page()
        yield tab
        tab.context.browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scenes on disk."""
    folder = tmp_path_factory.mktemp("scenes")
    clver_ds.generate(folder, SCENES, size=640, seed=SEED)
    return folder


@pytest.fixture(scope="module")
def dataset(folder):
    """The scenes as a FiftyOne data set with a saved view of some."""
    if fo.dataset_exists(DATASET):
        fo.delete_dataset(DATASET)
    dataset = load_clver_ds(folder, DATASET)
    dataset.save_view(VIEW, dataset.limit(IN_VIEW))
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def app(page, dataset):
    """The App in the browser, with the data set open."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    session = fo.launch_app(dataset, remote=True, address="127.0.0.1", port=port)
    app = AppPage(page, f"http://127.0.0.1:{port}", SCREENSHOTS)
    app.open(dataset.name, VIEW)
    yield app
    app.shoot("last")
    session.close()


def _showing(dataset, thing):
    """The images of the view that hold the thing."""
    holds = dataset.load_saved_view(VIEW).match_labels(
        filter=F("label") == thing, fields="ground_truth"
    )
    return set(holds.values("filepath"))


def test_compute_and_search(app, dataset):
    app.shoot("1-data-set")
    app.open_operator("Compute detail embeddings")
    app.fill("Backbone", demo.NAME)
    app.choose("Fuser", "ridge")
    app.choose("Classes of a label field", "ground_truth")
    app.fill("Brain key", BRAIN_KEY)
    app.await_valid()
    app.shoot("2-form")
    app.execute()
    app.await_text(r"\d images/s", EMBEDDING)
    app.shoot("3-progress")
    app.await_text(rf"{IN_VIEW} images embedded", EMBEDDING)
    app.close_report()
    app.settle()
    app.shoot("4-done")
    dataset.reload()
    assert BRAIN_KEY in dataset.list_brain_runs()

    for thing in THINGS:
        showing = _showing(dataset, thing)
        name = thing.replace(" ", "-")
        found = app.search(thing)
        app.shoot(f"5-search-{name}")
        app.close_searches()
        app.shoot(f"6-found-{name}")
        assert len(found) == len(set(found))
        assert set(found[: len(showing)]) == showing, thing
        app.show_everything()
