"""One browser and one App for the tests of this folder, and for no test after them.

Playwright keeps an event loop running, in which operators answer with a task.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone.core.service import ServerService

from detail_embed import clver_ds
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.storage.user_folders import DATA_VARIABLE
from tests.e2e.app_page import AppPage

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
DATASET = "small-things"
VIEW = "some"


@contextlib.contextmanager
def app_server():
    """An App server for as long as the block runs; gives its URL.

    It has no ``fo.Session``, which would send its own dataset and view to every
    browser as soon as it has connected, some seconds after a test has begun.
    """
    fo.list_datasets()  # starts MongoDB here: two that start at once both fail
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ServerService(port, "127.0.0.1", do_not_track=True)
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def data():
    """The folder of features and trained fusers, empty, where a user has it."""
    folder = Path.home() / ".local" / "share" / "detail-embed"
    shutil.rmtree(folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DATA_VARIABLE, str(folder))
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def dataset(tmp_path_factory):
    """Scenes as a FiftyOne dataset with a saved view of some."""
    folder = tmp_path_factory.mktemp("scenes")
    clver_ds.generate(folder, SCENES, size=640, seed=SEED)
    if fo.dataset_exists(DATASET):
        fo.delete_dataset(DATASET)
    dataset = load_clver_ds(folder, DATASET)
    dataset.save_view(VIEW, dataset.limit(IN_VIEW))
    yield dataset
    dataset.delete()


@pytest.fixture(scope="package")
def served(page, data):
    """The App in the browser, its server started once for all tests."""
    with app_server() as url:
        yield AppPage(page, url, SCREENSHOTS)


@pytest.fixture
def app(served, dataset):
    """The App in the browser, with the view of the dataset open."""
    served.open(dataset.name, VIEW)
    yield served
    served.shoot("last")
