"""Several prompts are each looked for by themselves, where a search reads patches."""

import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.feature_stores import open_store
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.app_defaults import prepare
from detail_embed.fiftyone_bridge.samples.frames import home_of
from detail_embed.fiftyone_bridge.search import match, query_vectors
from detail_embed.fiftyone_bridge.search.methods import PATCHES, RERANKED
from detail_embed.fiftyone_bridge.search.places import Place
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
@pytest.mark.slow
def test_scores_are_of_each_prompt_and_of_all(indexed, text, templates):
    index, query = Index(indexed, "detail"), parse(text)
    options = {"k": 24, "templates": templates}
    found = search(index, indexed, text, method=PATCHES, **options)
    parts = query_vectors.encode_parts(index, query, templates)
    weights = np.array([prompt.weight for prompt in query.prompts])
    weights = weights / np.abs(weights).sum()
    store = open_store(index)
    wanted_texts = [p.text for p in query.prompts if p.weight > 0]
    for id, score, box, places in zip(
        found.ids, found.scores, found.boxes, found.places
    ):
        near = store.features(id).numpy() @ parts.T
        wanted = (near.max(0) @ weights + (near @ weights).max()) / 2
        assert score == pytest.approx(wanted, abs=1e-3)
        image = store[id]
        place = image.boxes[near[:, 0].argmax()] / image.boxes[0, 2:].repeat(2)
        np.testing.assert_allclose(box[:2], place[:2], atol=1e-6)
        assert list(places[0].box) == box
        named = {text: one for one in places for text in one.text.split(", ")}
        assert list(named) == wanted_texts
        for at, one in enumerate(named.values()):
            best = image.boxes[near[:, at].argmax()] / image.boxes[0, 2:].repeat(2)
            np.testing.assert_allclose(one.box[:2], best[:2], atol=1e-6)
            cosine = max(near[:, i].max() for i, t in enumerate(wanted_texts)
                         if named[t] is one)
            assert one.score == pytest.approx(cosine, abs=1e-3)
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
    both = search(index, dataset, "red cube, blue cube", k=24)
    labels = dict(zip(*dataset.values(["id", f"{index.field}.detections"])))
    for id, places in zip(both.ids, both.places):
        stored = [tuple(label.bounding_box) for label in labels[id]]
        assert all(one.box in stored for one in places)
    assert any(len(places) == 2 for places in both.places)
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


def test_the_grid_shows_each_prompt_at_its_place(indexed):
    index, text = Index(indexed, "detail"), "red cube, -a ball, 2 * blue cube"
    found = search(index, indexed, text, k=24, method=PATCHES)
    assert {len(places) for places in found.places} == {1, 2}  # some have both in one
    labels = dict(zip(*found.view.values(["id", "detail_match.detections"])))
    for id, places in zip(found.ids, found.places):
        shown = [(x.label, tuple(x.bounding_box), x.confidence) for x in labels[id]]
        assert shown == [
            (p.text, p.box, round(min(max(p.score, 0), 1), 4)) for p in places
        ]
        assert places[0].text in ("blue cube", "blue cube, red cube")
    assert match.text_of(found.view) == text
    close = found.patches()
    assert close.values("sample_id") == [
        id for id, places in zip(found.ids, found.places) for _ in places
    ]
    assert len({x.id for some in labels.values() for x in some}) == len(close)
    assert indexed.count("detail_match.detections") == 0


def test_one_text_twice_and_many_texts(indexed):
    index = Index(indexed, "detail")
    twice = search(index, indexed, "a cube, 2 * a cube", k=3, method=PATCHES)
    assert [[p.text for p in places] for places in twice.places] == [["a cube"]] * 3
    many = search(index, indexed, ", ".join(f"word {i}" for i in range(9)), k=3,
                  method=PATCHES)
    shown = [", ".join(p.text for p in places).split(", ") for places in many.places]
    assert [sorted(texts) for texts in shown] == [[f"word {i}" for i in range(5)]] * 3


def test_places_are_drawn_to_the_last_bit(dataset):
    boxes = [(1e-7, np.float64(1 / 3), 0.25, 1), (0, 2 / 3, 0.1 + 0.2, 5e-324)]
    shown = *boxes[1][:3], 0.0
    ids = dataset.limit(3).values("id")
    places = [[Place(boxes[0], None)], [], [Place(boxes[1], 0.5), Place(boxes[0], 2.0)]]
    prepare(home_of(dataset))
    view = match.draw(dataset.select(ids, ordered=True), ids, places, "a, $b")
    drawn = view.values("detail_match.detections")
    found = [[(x.label, tuple(x.bounding_box), x.confidence) for x in some]
             for some in drawn]
    assert found == [
        [("a, $b", boxes[0], None)], [],
        [("a, $b", shown, 0.5), ("a, $b", boxes[0], 1.0)],
    ]
    again = match.draw(dataset.select(ids, ordered=True), ids, places, "a, $b")
    both = [*drawn, *again.values("detail_match.detections")]
    assert len({x.id for some in both for x in some}) == 6
