"""Training a fuser, and what it is good for, in the real App and a real browser."""

from __future__ import annotations

import pytest
from fiftyone import ViewField as F
from playwright.sync_api import expect

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.evaluate import runs
from detail_embed.fiftyone_bridge.index import brain_runs, records
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.search.search import RERANKED, search
from detail_embed.fusers import library
from tests.e2e.conftest import IN_VIEW, VIEW

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FUSER = "drones"
BRAIN_KEY = "trained"
THING = "cupcake"
STEP = 240  # seconds, on a busy machine


def test_what_is_missing_is_said(app):
    for label, problem, button in (
        ("Manage trained fusers", "No fuser was trained yet", "Delete"),
        ("Train a fuser", "Type a name for the fuser", "Execute"),
    ):
        app.open_operator(label)
        app.await_problem(problem, button)
        app.cancel()


def test_train_index_search_evaluate_delete(app, dataset):
    _train(app, dataset)
    _index(app, dataset)
    _search(app, dataset)
    _evaluate(app, dataset)
    _delete(app, dataset)


def _train(app, dataset):
    app.open_operator("Train a fuser")
    app.fill("Name", FUSER)
    app.fill("Time budget in minutes", "0.1")
    _fill_space(app)
    app.choose("Classes of a label field", "ground_truth")
    expect(app.form).to_contain_text(f"{IN_VIEW} images take about")
    app.execute()
    expect(app.report).to_contain_text(f"{FUSER} is trained", timeout=1000 * STEP)
    app.await_plot("kept for held-out words", "loss")
    app.shoot("7-train-a-fuser")
    facts = library.describe(FUSER)
    kept = f"keeps {100 * facts.held_out:.1f} % of the ranking"
    expect(app.report).to_contain_text(kept)
    dataset.reload()
    assert dataset.load_run_results(FUSER).history == facts.history
    app.close_report()


def _index(app, dataset):
    app.open_operator("Compute detail embeddings")
    app.check("Advanced")
    _fill_space(app)
    app.choose("How one vector is made", FUSER)
    app.fill("Index name", BRAIN_KEY)
    app.choose("Keep patch features", "float16")
    app.execute()
    expect(app.report).to_contain_text(
        f"{IN_VIEW} images embedded", timeout=1000 * STEP
    )
    dataset.reload()
    assert records.read(dataset, BRAIN_KEY).fuser == FUSER
    assert len(dataset.exists(f"{BRAIN_KEY}_embedding")) == IN_VIEW
    app.close_report()


def _search(app, dataset):
    app.open_operator("Search with re-ranking")
    app.fill("Text", " ")
    app.await_problem("Type what to look for")
    app.fill("Text", THING)
    app.choose("Index", BRAIN_KEY)
    app.fill("Images to show", "9")
    app.await_valid()

    def run():
        app.execute()
        app.await_text(f"9 of {IN_VIEW} images, best first", 20)  # it goes away

    shown = app.images_of(run)
    view = dataset.load_saved_view(VIEW)
    found = search(Index.of(view, BRAIN_KEY), view, THING, k=9, method=RERANKED)
    assert shown == found.view.values("filepath")
    holds = view.match_labels(filter=F("label") == THING, fields="ground_truth")
    assert set(shown[: len(holds)]) == set(holds.values("filepath"))
    app.open(dataset.name, VIEW)


def _evaluate(app, dataset):
    app.open_operator("Evaluate retrieval")
    app.fill("Name", FUSER)
    app.await_problem(f"Name '{FUSER}' belongs to another run")
    app.fill("Name", "measured")
    app.execute()
    app.await_plot(*brain_runs.promptable(dataset))
    app.shoot("8-evaluate-retrieval")
    dataset.reload()
    measured = runs.load(dataset, "measured")
    assert measured.images == IN_VIEW
    head, *lines = app.table()
    assert head[:3] == ["Index", "Classes", "mAP"]
    for line, method in zip(lines, measured.methods, strict=True):
        row = next(row for row in measured.rows if row.method == method)
        assert line[:2] == [method, str(row.queries)]
        assert line[2].startswith(f"{100 * row.map:.1f}\N{NO-BREAK SPACE}(")
    assert lines[0][0].endswith("_global")  # others are compared with it
    app.close_report()


def _delete(app, dataset):
    app.open_operator("Manage trained fusers")
    expect(app.form.get_by_role("cell", name=FUSER, exact=True)).to_be_visible()
    expect(app.form.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    app.choose("Delete", FUSER)
    app.execute("Delete")
    expect(app.report).to_contain_text("No trained fuser is left")
    assert library.names() == []
    app.close_report()
    app.open_operator("Compute detail embeddings")
    app.check("Advanced")
    _fill_space(app)
    app.fill("Index name", BRAIN_KEY)
    app.choose("How one vector is made", FUSER)
    app.await_valid()  # the index goes on with its copy
    app.cancel()
    assert BRAIN_KEY in dataset.list_brain_runs()


def _fill_space(app):
    app.fill("Model", DEMO)
    app.choose("Complete Cover", "3: ")
