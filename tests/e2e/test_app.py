"""The main job in the real App, as a person does it, in a real browser."""

from __future__ import annotations

import pytest
from fiftyone import ViewField as F

from detail_embed.backbone.bundled_model import NAME as DEMO
from tests.e2e.conftest import IN_VIEW, VIEW

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

THINGS = ("cupcake", "red metal cube")
BRAIN_KEY = "detail"
EMBEDDING = 240  # seconds, on a busy machine


def _showing(dataset, thing):
    """The images of the view that hold the thing."""
    holds = dataset.load_saved_view(VIEW).match_labels(
        filter=F("label") == thing, fields="ground_truth"
    )
    return set(holds.values("filepath"))


def test_compute_and_search(app, dataset):
    app.shoot("1-dataset")
    app.open_operator("Compute detail embeddings")
    app.fill("Model", DEMO)
    app.shoot("2-form")
    app.check("Advanced")
    app.choose("How one vector is made", "ridge")
    app.choose("Classes of a label field", "ground_truth")
    app.fill("Index name", BRAIN_KEY)
    app.await_valid()
    app.shoot("2-form-advanced")
    app.execute()
    app.await_text(r"Loading the model|\d images", EMBEDDING)
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
