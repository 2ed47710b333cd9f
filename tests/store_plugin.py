"""A real S3 API on this machine, for the tests of a module."""

import pytest


@pytest.fixture(scope="module")
def store():
    """The store, running."""
    from tests.object_store import ObjectStore

    with ObjectStore() as running:
        yield running


@pytest.fixture
def credentials(store, monkeypatch):
    """What says in the environment where the store is, and who asks."""
    store.set(monkeypatch.setenv)
