"""Adapted models in the panel: listed with their curve, used, deleted."""

import pydash
import pytest
import torch

from detail_embed.adapt import models
from detail_embed.adapt.models import AdaptedFacts

PASS = {"learning_rate": 1e-3, "seconds": 9.0, "is_best": True, "nouns": 0.3,
        "score": 0.5}


@pytest.fixture
def adapted(tmp_path, monkeypatch):
    """Two models: one that is offered and one that is not."""
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path))
    history = [{"number": n, "loss": n and 2.0, "held_out": 0.1 * n} | PASS
               for n in range(3)]
    for name, is_offered in (("bad", False), ("toys", True)):
        verdict = {"is_offered": is_offered, "alpha": 0.6, "gain": [0.2, 0.1, 0.3],
                   "lost": 0.01, "reason": "nouns would lose"}
        facts = AdaptedFacts(
            name, "detail-demo", None, "the label field 'x'", 40, 8, 300, 9, 0,
            {"method": "full"}, history, [], verdict,
        )
        models.save(facts, {"weight": torch.ones(2)})


def test_models_are_listed_with_their_curve_and_used(browser, adapted):
    browser.tab("fusers")
    rows = pydash.get(browser.data, "fusers.adapted")
    assert [(row["name"], row["offered"]) for row in rows] == [
        ("bad", "no"), ("toys", "yes")
    ]
    assert rows[1]["gain"] == "+20.0" and rows[1]["nouns"] == "-1.0"
    browser.event("on_adapted", row=1)
    lines = pydash.get(browser.data, "fusers.adapted_curve")
    assert lines[0]["name"] == "your texts, held-out images"
    assert lines[0]["y"] == pytest.approx([0, 10, 20])
    assert "**toys** may be used" in str(browser.part("fusers.adapted_summary"))
    said = browser.event("on_use_adapted", row=0)
    assert "'bad' is not offered: nouns would lose" in said
