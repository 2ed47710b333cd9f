"""Indexes of more vectors than are read into memory: the same answers, from files."""

import json
import shutil

import fiftyone as fo
import fiftyone.brain.internal.core.utils as brain_utils
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.detail_index import DetailIndex
from detail_embed.fiftyone_bridge.index import feature_stores, large
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.search import large as large_search

QUERY = "red metal cube"
FEW = Settings(
    backbone=DEMO, cover=2, vectors=3, device="cpu", fuser="gmp", keep_features=False
)


@pytest.fixture
def few(dataset):
    """24 images with 3 vectors each, read into memory."""
    index = DetailIndex(dataset, "detail")
    index.compute(settings=FEW, also_global=False)
    yield index
    shutil.rmtree(
        feature_stores.data_directory() / "features" / str(dataset._doc.id),
        ignore_errors=True,
    )


@pytest.fixture
def at_most(monkeypatch):
    def set_to(count):
        monkeypatch.setattr(large, "MOST_BYTES", count)

    return set_to


def test_the_same_answers_from_files(few, at_most):
    exact = few.search(QUERY, k=24)
    view = few.dataset[5:15]
    in_view = few.search(QUERY, view, k=5)
    at_most(50_000)
    assert large.is_large(few) and not large.is_large(few.single)
    with pytest.raises(ValueError, match="not in files yet: update it"):
        few.search(QUERY)
    with pytest.raises(ValueError, match="more vectors than are read into memory"):
        index_vectors.load(few)
    few.update()
    found = few.search(QUERY, k=24)
    assert found.ids == exact.ids and found.searched == 24 and found.missing == 0
    np.testing.assert_allclose(found.scores, exact.scores, atol=2e-3)
    np.testing.assert_allclose(found.z_scores, exact.z_scores, atol=0.05)
    assert found.boxes == exact.boxes
    assert sum(found.histogram.counts) == 24
    some = few.search(QUERY, view, k=5)
    assert some.ids == in_view.ids and some.searched == 10
    above = few.search(QUERY, threshold=exact.z_scores[4] - 0.01)
    assert above.ids == exact.ids[:5] and above.above == 5
    assert len(found.view) == 24 and few.facts is not None


def test_each_of_several_prompts_proposes_images(few, at_most, monkeypatch):
    text, words = f"{QUERY}, blue rubber sphere, -a dog", [QUERY, "blue rubber sphere"]
    exact = few.search(text, k=24)
    vectors = [few.search(word, k=1).vector for word in words]
    best = [few.search(vector, k=2).ids for vector in (exact.vector, *vectors)]
    at_most(50_000)
    few.update()
    found = few.search(text, k=24)
    assert found.ids == exact.ids and found.searched == 24
    np.testing.assert_allclose(found.scores, exact.scores, atol=2e-3)
    np.testing.assert_allclose(found.z_scores, exact.z_scores, atol=0.05)
    assert found.places[0][0].text == exact.places[0][0].text
    monkeypatch.setattr(large_search, "_LEAST", 2)
    proposed = large_search.propose(few, few.dataset, exact.vector, 1, None, vectors)
    assert proposed.vectors.ids == list(dict.fromkeys(id for ids in best for id in ids))
    z = dict(zip(exact.ids, exact.z_scores))
    np.testing.assert_allclose(
        proposed.z_scores, [z[id] for id in proposed.vectors.ids], atol=0.05
    )
    within = large_search.propose(
        few, few.dataset.select(best[1]), exact.vector, 1, None, vectors
    )
    assert set(within.vectors.ids) == set(best[1])


def test_updates_add_and_deletions_count_at_once(few, at_most, tmp_path):
    at_most(50_000)
    few.update()
    part, = large.open_files(few).parts
    first = few.search(QUERY, k=3)
    few.dataset.delete_samples(first.ids[:1])
    assert few.search(QUERY, k=2).ids == first.ids[1:]
    path = tmp_path / "copy.png"
    shutil.copy(few.dataset[first.ids[1]].filepath, path)
    few.dataset.add_sample(fo.Sample(filepath=str(path)))
    few.update()
    files = large.open_files(few)
    assert [len(part) for part in files.parts] == [24, 1]
    assert files.parts[0].folder == part.folder
    again = few.search(QUERY, k=2)
    assert len(again.ids) == 2 and few.dataset.last().id in again.ids
    few.dataset.tag_samples("seen")
    few.update()
    assert len(large.open_files(few).parts) == 2


def test_a_large_index_is_made_without_reading_its_vectors(
    dataset, at_most, monkeypatch
):
    original = brain_utils._load_embeddings

    def read(*arguments, patches_field=None):
        assert not patches_field, "all vectors are read"
        return original(*arguments)

    at_most(50_000)
    monkeypatch.setattr(brain_utils, "_load_embeddings", read)
    index = DetailIndex(dataset, "detail")
    index.compute(settings=FEW, also_global=False)
    index.update()
    assert index.config.embeddings_field == "vector"
    found = index.search(QUERY, k=5)
    monkeypatch.undo()
    exact = dataset.sort_by_similarity(QUERY, k=5, brain_key="detail")
    assert exact.values("id") == found.ids  # FiftyOne's own search goes on
    index.delete()


def test_files_go_where_the_index_goes(few, at_most):
    at_most(50_000)
    few.update()
    first = few.search(QUERY, k=5).ids
    old = large.folder(few)
    label = json.loads((old / "vectors.json").read_text())
    assert label["slug"] == few.record.space
    few.rename("other")
    assert not old.exists() and few.search(QUERY, k=5).ids == first
    few.delete()
    assert not large.folder(few).exists()
