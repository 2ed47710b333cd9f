"""The panel on small scenes with two indexes, for the tests of this folder."""

import sys

import fiftyone as fo
import fiftyone.operators as foo
import pytest

from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search.history import History
from tests.browser import PANEL, Browser
from tests.operators.panel.helpers import SETTINGS


@pytest.fixture(scope="package", autouse=True)
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="package")
def panel():
    """The panel, when the library it needs is imported."""
    panel = foo.get_operator(PANEL)
    warm_up = sys.modules[type(panel).__module__].warm_up
    warm_up.is_imported()
    warm_up._imports.join()
    assert warm_up.is_imported()
    return panel


@pytest.fixture(scope="package")
def indexed(scenes):
    """24 scenes with a detail index and one of whole images."""
    dataset = load_clver_ds(scenes)
    compute_index.compute(
        Index(dataset, "detail"), dataset, SETTINGS, also_global=True
    ).finish()
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
    compute_index.compute(
        Index(dataset, "detail"), dataset, SETTINGS, also_global=True
    ).finish()
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
