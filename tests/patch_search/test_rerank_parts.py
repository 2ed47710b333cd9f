"""Several texts of one query, each at its own place of an image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from detail_embed.features import FeatureStore
from detail_embed.patch_search.rerank import rerank, rerank_parts

DIM = 8


@pytest.fixture
def store(tmp_path):
    rng = torch.Generator().manual_seed(0)
    store = FeatureStore(tmp_path / "store", "space", DIM)
    features = [
        F.normalize(torch.randn(n, DIM, generator=rng), dim=1) for n in (3, 5, 4)
    ]
    boxes = [np.tile([0, 0, 9, 9], (len(f), 1)) for f in features]
    levels = [np.ones(len(f), int) for f in features]
    store.add(["a", "b", "c"], features, boxes, levels)
    return store


def by_hand(parts, weights, store, id):
    """Patch by patch, text by text."""
    total = sum(abs(w) for w in weights)
    features = F.normalize(store.features(id).float(), dim=1).numpy()
    each, together = 0.0, -np.inf
    for part, weight in zip(parts.numpy(), weights):
        each += weight * max(float(patch @ part) for patch in features) / total
    for patch in features:
        some = sum(w * float(patch @ p) for p, w in zip(parts.numpy(), weights))
        together = max(together, some / total)
    return (each + together) / 2


@pytest.mark.parametrize("weights", [(1, 1), (2, 0.5), (1, -1), (0.3, -0.2, 5)])
def test_scores_are_those_by_hand(store, weights):
    torch.manual_seed(1)
    parts = F.normalize(torch.randn(len(weights), DIM), dim=1)
    found = rerank_parts(parts, weights, ["a", "b", "c"], store)
    wanted = np.array([by_hand(parts, weights, store, id) for id in "abc"])
    np.testing.assert_allclose(found.scores, np.sort(wanted)[::-1], atol=1e-5)
    assert found.order.tolist() == np.argsort(-wanted).tolist()
    for part, patches, cosines in zip(parts, found.patches, found.cosines):
        for at, patch, cosine in zip(found.order, patches, cosines):
            near = F.normalize(store.features("abc"[at]).float(), dim=1) @ part
            assert patch == int(near.argmax())
            assert cosine == pytest.approx(float(near.max()), abs=1e-6)


def test_one_text_is_as_before(store):
    torch.manual_seed(2)
    text = F.normalize(torch.randn(1, DIM), dim=1)
    alone, parts = rerank(text, list("abc"), store), rerank_parts(
        text, [1.0], list("abc"), store)
    assert (alone.order[0] == parts.order).all()
    np.testing.assert_allclose(alone.scores[0], parts.scores, atol=1e-6)
    np.testing.assert_allclose(alone.scores, parts.cosines, atol=1e-6)
    assert (alone.patches == parts.patches).all()


def test_two_places_before_one_in_between(tmp_path):
    """Both things far apart beat a patch that is a little of each, and one alone."""
    a, b = torch.eye(DIM)[0], torch.eye(DIM)[1]
    store = FeatureStore(tmp_path / "made", "space", DIM)
    rest = torch.eye(DIM)[5]
    images = {
        "both": [a, b],
        "one": [a, rest],
        "between": [F.normalize(a + b + 2 * rest, dim=0), rest],
        "at one place": [F.normalize(a + b, dim=0), rest],
    }
    for id, rows in images.items():
        store.add([id], [torch.stack(rows)], [np.tile([0, 0, 9, 9], (2, 1))],
                  [np.ones(2, int)])
    ids = list(images)
    found = rerank_parts(torch.stack([a, b]), [1, 1], ids, store)
    order = [ids[i] for i in found.order]
    assert set(order[:2]) == {"both", "at one place"}
    but_not = rerank_parts(torch.stack([a, b]), [1, -1], ids, store)
    assert ids[but_not.order[0]] == "one"


def test_what_cannot_be_used(store):
    with pytest.raises(ValueError, match="shape"):
        rerank_parts(torch.ones(2, DIM + 1), [1, 1], ["a"], store)
    with pytest.raises(ValueError, match="NaN"):
        rerank_parts(torch.full((2, DIM), torch.nan), [1, 1], ["a"], store)
    none = rerank_parts(torch.ones(2, DIM), [1, 1], [], store)
    assert none.order.shape == (0,) and none.patches.shape == (2, 0)
