"""The form that computes an index, as a newcomer meets it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

LABEL = "Compute detail embeddings"


def test_the_form_is_valid_when_it_opens(app):
    app.open_operator(LABEL)
    app.await_valid()
    for text in ("Fast", "Better", "Best", "Model", "Index name", "Advanced"):
        expect(app.form.get_by_text(text, exact=True).first).to_be_visible()
    expect(app.form.get_by_text("Complete Cover", exact=True)).to_have_count(0)
    app.shoot("22-form-opened")
    app.check("Advanced")
    expect(app.form.get_by_text("Complete Cover", exact=True)).to_be_visible()
    app.await_valid()
    app.shoot("22-form-advanced")
    app.cancel()


def test_a_problem_stands_beside_its_field(app):
    app.open_operator(LABEL)
    app.await_valid()
    app.fill("Index name", "two words")
    app.await_problem("Index name 'two words': use letters")
    app.shoot("22-form-problem")
    app.cancel()


def test_boxes_of_a_label_field_are_chosen(app):
    app.open_operator(LABEL)
    app.await_valid()
    app.check("Advanced")
    padding = app.form.get_by_text("Padding of the boxes", exact=True)
    expect(padding).to_have_count(0)
    app.choose("Boxes of a label field", "ground_truth")
    expect(padding).to_be_visible()
    app.await_valid()
    padding.scroll_into_view_if_needed()
    app.shoot("22-form-boxes")
    app.cancel()
