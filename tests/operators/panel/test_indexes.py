"""The tabs of indexes and fusers."""

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pydash
import pytest

from detail_embed.backbone.bundled_model import KNOWS
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.clver_ds import concepts
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index import delete, learned_words
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import vector_counts
from detail_embed.texts.text_adapter import TextAdapter
from tests.operators.panel.helpers import KEYS, OPERATORS, SETTINGS


def test_an_index_of_the_demo_model_says_what_it_knows(browser):
    assert f"knows {len(concepts('both'))} things" in KNOWS
    captions = browser.get("captions")
    assert list(captions) == KEYS
    assert all(caption.endswith(KNOWS) for caption in captions.values())


def test_indexes(on_mine, mine):
    mine.add_sample(fo.Sample(filepath=mine.first().filepath))
    mine.add_sample(fo.Sample(filepath="/nowhere.png"))
    compute_index.compute(
        Index.of(mine.skip(9), "detail"), mine.skip(9), SETTINGS
    ).finish()
    assert on_mine.tab("indexes") is None
    rows = pydash.get(on_mine.data, "indexes.list")
    assert [row["brain_key"] for row in rows] == on_mine.get("index_keys") == KEYS
    assert rows[0]["images"] == "8"
    assert on_mine.event("on_index_row", row=0) is None
    coverage = on_mine.get("coverage")
    counts = [coverage[group] for group in ("embedded", "missing", "failed")]
    assert (coverage["brain_key"], counts) == ("detail", [8, 1, 1])
    for group, count in zip(("embedded", "missing", "failed"), counts):
        assert on_mine.event("on_group", group=group) is None
        assert len(on_mine.shown(mine)) == count
    ((reason, count),) = coverage["reasons"]
    assert count == 1 and on_mine.part("indexes.reason0")
    assert on_mine.event("on_group", group="failed", reason=reason) is None
    assert on_mine.shown(mine).values("filepath") == ["/nowhere.png"]


def test_many_images_are_counted_beside_the_list(browser, indexed, monkeypatch):
    monkeypatch.setattr(vector_counts, "_FEW", 0)
    with monkeypatch.context() as while_counting:
        while_counting.setattr(vector_counts._Counting, "is_alive", lambda self: True)
        while_counting.setattr(vector_counts._Counting, "run", lambda self: None)
        assert browser.tab("indexes") is None
        rows = pydash.get(browser.data, "indexes.list")
        assert {row["images"] for row in rows} == {"counting …"}
        assert browser.part("indexes.counting")
    assert browser.event("poll_counts") is None
    rows = pydash.get(browser.data, "indexes.list")
    assert {row["images"] for row in rows} == {str(len(indexed))}
    assert browser.part("indexes.counting") is None


def test_an_index_that_has_learned_words_says_so_and_they_can_be_undone(on_mine, mine):
    index = DetailIndex(mine, "detail")
    texts = np.eye(index.space.dim, dtype=np.float32)
    words = TextAdapter(["blorfle", "zibbet"], texts[:2], texts[2:4])
    facts = {"known": [*words.words], "source": "the boxes in 'ground_truth'",
             "before": 10.0, "after": 60.04}
    assert on_mine.tab("indexes") is None
    assert on_mine.event("on_index_row", row=0) is None
    assert on_mine.part("indexes.words.learn")
    assert on_mine.part("indexes.words.forget") is None
    learned_words.keep(index, index.space.backbone, words, facts)
    assert on_mine.event("on_look") is None
    assert on_mine.part("indexes.words.forget")
    rows = pydash.get(on_mine.data, "indexes.list")
    assert rows[0]["what"].endswith(", 2 learned words")
    said = on_mine.get("coverage")["facts"]
    assert "It knows 2 learned words, from the boxes in 'ground_truth'" in said
    assert "on held-out images mAP 10.0 before, 60.0 after." in said
    for event, method in (("on_learn_words", "learn my words"),
                          ("on_forget_words", "forget my words")):
        assert on_mine.event(event) is None
        name, params = on_mine.asked()
        assert (name, params["brain_key"], params["method"]) == (
            "adapt_backbone", "detail", method
        )
    index.forget_words()
    assert on_mine.event("on_look") is None
    assert on_mine.part("indexes.words.forget") is None
    assert on_mine.event("on_index_row", row=1) is None  # the whole-image index
    assert on_mine.part("indexes.words") is None


@pytest.mark.parametrize(
    "event, operator",
    [("on_update", "update_index"), ("on_rename", "rename_index"),
     ("on_export", "export_vectors"), ("on_delete_index", "delete_index")],
)
def test_what_can_be_done_with_an_index(browser, event, operator):
    browser.tab("indexes")
    assert browser.event(event, row=1) is None
    name, params = browser.asked()
    assert (name, params["brain_key"]) == (operator, "detail_global")
    assert "try again" in browser.event(event, row=9)


def test_an_index_of_the_list_that_is_gone(on_mine, mine):
    on_mine.tab("indexes")
    on_mine.event("on_index_row", row=1)
    delete.delete_any(Index(mine, "detail_global"))
    assert "detail_global" in on_mine.event("on_index_row", row=1)
    assert "detail_global" in on_mine.event("on_group", group="embedded")
    assert on_mine.tab("indexes") is None
    assert on_mine.get("index_keys") == ["detail"] and on_mine.get("coverage") is None
    assert on_mine.event("on_group", group="embedded")


def test_fusers(browser, indexed):
    browser.tab("fusers")
    assert browser.part("fusers.empty") and browser.part("fusers.list") is None
    browser.event("on_train")
    assert browser.asked()[0] == "train_fuser"
    train = foo.get_operator(f"{OPERATORS}/train_fuser")
    proxies = ["cube", "sphere", "cone", "cylinder", "torus", "red metal cube",
               "blue rubber sphere", "green metal cone", "pyramid", "ring"]
    train(indexed, "solids_1", epochs=1, backbone=DEMO, cover=2, device="cpu",
          proxies=proxies)
    assert browser.event("on_fusers_changed") is None
    assert browser.get("fuser_names") == ["solids_1"]
    (row,) = pydash.get(browser.data, "fusers.list")
    assert row["name"] == "solids_1" and row["images"] == "24"
    assert browser.event("on_fuser", row=0) is None
    assert browser.part("fusers.curve") and pydash.get(browser.data, "fusers.curve")
    browser.event("on_apply", row=0)
    name, params = browser.asked()
    assert name == "compute_detail_embeddings"
    assert params["fuser"] == params["brain_key"] == "solids_1"
    browser.event("on_delete_fuser", row=0)
    assert browser.asked() == ("manage_fusers", {"delete": "solids_1"})
    foo.get_operator(f"{OPERATORS}/manage_fusers")(delete="solids_1")
    assert "no trained fuser is called 'solids_1'" in browser.event("on_fuser", row=0)
    browser.event("on_fusers_changed")
    assert browser.get("fuser_names") == [] and browser.part("fusers.list") is None
