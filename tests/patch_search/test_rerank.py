"""MaxSim of candidates, against the definition written out."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from detail_embed.features import FeatureStore
from detail_embed.patch_search.rerank import rerank

DIM = 12


@pytest.fixture(params=["float16", "int8"])
def store(tmp_path, request):
    torch.manual_seed(0)
    store = FeatureStore(tmp_path, "slug", DIM, request.param)
    for i in range(70):
        count = 1 + i % 7
        store.add(
            [f"i{i}"], [F.normalize(torch.randn(count, DIM), dim=1)],
            [torch.zeros(count, 4)], [torch.ones(count)],
        )
    return store


def _queries(count):
    torch.manual_seed(1)
    return F.normalize(torch.randn(count, DIM), dim=1)


def test_order_scores_and_patches_are_maxsim(store):
    ids = store.ids[::-1][:68]
    queries = _queries(3)
    found = rerank(queries, ids, store, top=10)
    for row, query in enumerate(queries.double().numpy()):
        images = [F.normalize(store[id].features, dim=1).double().numpy() for id in ids]
        best = [(image @ query).max() for image in images]
        order = np.argsort(-np.array(best), kind="stable")[:10]
        assert found.order[row].tolist() == order.tolist()
        np.testing.assert_allclose(found.scores[row], np.array(best)[order], atol=1e-6)
        patches = [int((images[i] @ query).argmax()) for i in order]
        assert found.patches[row].tolist() == patches


def test_only_candidates_are_read(store, monkeypatch):
    read, original = [], FeatureStore.features
    monkeypatch.setattr(
        FeatureStore, "features",
        lambda self, id: read.append(id) or original(self, id),
    )
    found = rerank(_queries(2), ["i5", "i3"], store)
    assert sorted(read) == ["i3", "i5"]
    assert found.order.shape == found.scores.shape == found.patches.shape == (2, 2)


def test_no_candidates_and_equal_ones(store):
    assert rerank(_queries(2), [], store, top=5).order.shape == (2, 0)
    found = rerank(_queries(1), ["i4", "i4", "i4"], store)
    assert found.order.tolist() == [[0, 1, 2]]


def test_copies_of_an_image_keep_their_order_on_any_processor(store, other_kernel):
    ids = ["i1", "i4", "i6", "i4", "i0", "i11", "i4"] * 20
    queries = _queries(3)
    found = rerank(queries, ids, store)
    alone = {id: rerank(queries, [id], store).scores[:, 0] for id in set(ids)}
    for row, order in enumerate(found.order.tolist()):
        assert sorted(order) == list(range(len(ids)))
        scores = [alone[ids[i]][row] for i in order]
        assert found.scores[row].tolist() == scores == sorted(scores, reverse=True)
        for id in alone:
            places = [i for i in order if ids[i] == id]
            assert places == sorted(places)


def test_what_it_cannot_work_with(store):
    with pytest.raises(KeyError):
        rerank(_queries(1), ["gone"], store)
    with pytest.raises(ValueError, match=r"\(q, 12\) expected, got \(12,\)"):
        rerank(_queries(1)[0], ["i1"], store)
    with pytest.raises(ValueError, match="NaN"):
        rerank(torch.full((1, DIM), torch.nan), ["i1"], store)
    with pytest.raises(ValueError, match="top=0"):
        rerank(_queries(1), ["i1"], store, top=0)
