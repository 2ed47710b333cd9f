"""Several prompts are each looked for by themselves, where a search reads patches."""

import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.feature_stores import open_store
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.search.methods import PATCHES, RERANKED
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.texts.query import parse
from detail_embed.texts.score_summary import standardise

SETTINGS = Settings(
    backbone=DEMO, cover=4, fuser="mean", device="cpu", keep_features="float16"
)


@pytest.fixture
def indexed(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS).finish()
    return dataset


@pytest.mark.parametrize("templates", ["own", "plain"])
@pytest.mark.parametrize("text", ["red cube, blue cube", "2 * a cube, -0.5 * a ball"])
def test_scores_are_of_each_prompt_and_of_all(indexed, text, templates):
    index, query = Index(indexed, "detail"), parse(text)
    options = {"k": 24, "templates": templates}
    found = search(index, indexed, text, method=PATCHES, **options)
    parts = query_vectors.encode_parts(index, query, templates)
    weights = np.array([prompt.weight for prompt in query.prompts])
    weights = weights / np.abs(weights).sum()
    store = open_store(index)
    for id, score, box in zip(found.ids, found.scores, found.boxes):
        near = store.features(id).numpy() @ parts.T
        wanted = (near.max(0) @ weights + (near @ weights).max()) / 2
        assert score == pytest.approx(wanted, abs=1e-3)
        image = store[id]
        place = image.boxes[near[:, 0].argmax()] / image.boxes[0, 2:].repeat(2)
        np.testing.assert_allclose(box[:2], place[:2], atol=1e-6)
    assert found.scores == sorted(found.scores, reverse=True)
    again = search(
        index, indexed, query, method=RERANKED, candidates=1.0, **options
    )
    assert again.ids == found.ids and again.scores == found.scores
    vector = query_vectors.encode(index, text, templates)
    np.testing.assert_allclose(found.vector, vector)


def test_vectors_and_one_prompt_stay_as_they_are(indexed):
    index = Index(indexed, "detail")
    one = search(index, indexed, "red cube", k=24, method=PATCHES)
    vector = search(index, indexed, one.vector, k=24, method=PATCHES)
    assert dict(zip(one.ids, one.scores)) == dict(zip(vector.ids, vector.scores))
    both = search(index, indexed, "red cube, a ball", k=24, method="vectors")
    native = index.dataset.load_brain_results("detail").get_model()
    summed = native.embed_prompts(["red cube", "a ball"]).sum(0)
    assert both.vector @ summed / np.linalg.norm(summed) > 0.99


def test_few_vectors(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    settings = Settings(
        backbone=DEMO, cover=4, vectors=4, device="cpu", fuser="gmp",
        keep_features=False,
    )
    compute_index.compute(Index(dataset, "few"), dataset, settings).finish()
    index, text = Index(dataset, "few"), "red cube, -0.5 * a ball"
    vectors = index_vectors.load(index)
    parts = query_vectors.encode_parts(index, parse(text))
    found = search(index, dataset, text, k=24)
    assert found.method == "vectors"
    summed = vectors.scores(found.vector)
    z = dict(zip(vectors.ids, standardise(summed)))
    for id, score, z_score in zip(found.ids, found.scores, found.z_scores):
        near = vectors.matrix[vectors.rows(vectors.ids.index(id))] @ parts.T
        each = near[:, 0].max() - 0.5 * near[:, 1].max()
        together = (near[:, 0] - 0.5 * near[:, 1]).max()
        assert score == pytest.approx((each + together) / 3, abs=1e-5)
        assert z_score == z[id]
    assert found.scores == sorted(found.scores, reverse=True)
    some = search(index, dataset[3:9], text, k=24)
    assert some.ids == [id for id in found.ids if id in some.ids]
    single = search(Index(dataset, "few_single"), dataset, text, k=24)
    native = index_vectors.load(Index(dataset, "few_single")).scores(single.vector)
    np.testing.assert_allclose(single.scores, np.sort(native)[::-1], atol=1e-6)


def test_a_concept_is_a_prompt_like_others(indexed):
    from detail_embed.fiftyone_bridge import DetailIndex

    index = DetailIndex(indexed, "detail")
    index.teach("it", indexed.values("id")[:2], text="a cube")
    found = index.search("#it, a ball", k=24, method=PATCHES)
    parts = query_vectors.encode_parts(index, parse("#it, a ball"))
    near = open_store(index).features(found.ids[0]).numpy() @ parts.T
    assert found.scores[0] == pytest.approx(
        (near.max(0).mean() + near.mean(1).max()) / 2, abs=1e-3
    )
