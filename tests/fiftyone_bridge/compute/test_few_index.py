"""k vectors per image, kept patch features, and searches re-ranked by them."""

import json
import shutil
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.zoo as foz
import numpy as np
import pytest
from fiftyone.operators.executor import Executor
from torch.nn import functional as F

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.features import FeatureStore, disk_space
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index import feature_stores, names, records
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.texts.templates import encode_query

QUERY = "red metal cube"
FEW = Settings(
    backbone=DEMO, cover=3, vectors=3, device="cpu", fuser="gmp", keep_features=False
)
FIELD = names.patches_field("detail")

SEARCH = """
import json, sys
import fiftyone as fo
dataset = fo.load_dataset(sys.argv[1])
images = dataset.sort_by_similarity(sys.argv[2], brain_key="detail", k=5)
print(json.dumps([images.values("id"), images.values("detail_patches.detections.id")]))
patches = dataset.to_patches("detail_patches")
found = patches.sort_by_similarity(sys.argv[2], brain_key="detail", k=5)
print(json.dumps(found.values("id")))
"""


def _run(samples, settings=FEW, brain_key="detail", **kwargs):
    kwargs = {"also_global": False} | kwargs
    return compute_index.compute(
        Index.of(samples, brain_key), samples, settings, **kwargs
    ).finish()


@pytest.fixture
def encoded(monkeypatch):
    """Counts the patches that are encoded."""
    counts, original = [], Backbone.encode_patches

    def encode(self, patches, *args, **kwargs):
        counts.append(len(patches))
        return original(self, patches, *args, **kwargs)

    monkeypatch.setattr(Backbone, "encode_patches", encode)
    return counts


@pytest.fixture(scope="module")
def operator():
    return foo.get_operator("@detail/detail-embed/search_reranked")


@pytest.fixture
def dataset(dataset):
    yield dataset
    shutil.rmtree(
        feature_stores.data_directory() / "features" / str(dataset._doc.id),
        ignore_errors=True,
    )


def _ranked(dataset):
    """Ids of labels, and of their samples, by exact cosine with the query."""
    query = encode_query(Backbone.load(DEMO, device="cpu"), QUERY).numpy()
    found = [
        (float(label.vector @ query), label.id, sample.id)
        for sample in dataset
        for label in sample[FIELD].detections
    ]
    found.sort(reverse=True)
    return [label for _, label, _ in found], [sample for *_, sample in found]


@pytest.mark.slow
def test_a_fresh_process_searches_k_vectors(dataset, fresh_python):
    result = _run(dataset, also_global=True)
    assert (result.embedded, result.failed) == (24, 0) and "-few-" in result.space
    assert result.vectors == 3
    assert len(dataset.exists("detail_embedding")) == 24  # one each, beside the few
    assert len(dataset.exists("detail_global_embedding")) == 24
    labels = dataset.values(f"{FIELD}.detections", unwind=True)
    assert {label.label for label in labels} == {"patch"}
    assert {label.level for label in labels} <= {1, 2, 3}
    vectors = np.stack([label.vector for label in labels])
    assert vectors.dtype == np.float32 and len(labels) == 72
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for x, y, w, h in (label.bounding_box for label in labels):
        assert 0 <= x < x + w <= 1.001 and 0 <= y < y + h <= 1.001

    done = fresh_python(SEARCH, dataset.name, QUERY)
    assert done.returncode == 0, done.stderr
    (images, hits), patches = map(json.loads, done.stdout.splitlines()[-2:])
    labels, samples = _ranked(dataset)
    assert patches == labels[:5]
    assert images == list(dict.fromkeys(samples[:5]))  # the best vector wins
    assert {hit for some in hits for hit in some} == set(labels[:5])

    image = np.zeros((64, 64, 3), np.uint8)  # to search by
    assert foz.load_zoo_model(result.space).embed(image).shape == (256,)


@pytest.mark.slow
def test_new_samples_are_added_and_the_single_vector_stays(dataset):
    single = Settings(
        backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False
    )
    _run(dataset, single, brain_key="one")
    before = dataset.values("one_embedding")
    steps = iter(
        compute_index.compute(Index.of(dataset[:20], "detail"), dataset[:20], FEW)
    )
    assert any(0 < step.fraction < 1 for step in steps)
    steps.close()
    done = len(dataset.exists(FIELD))
    assert 0 < done < 20
    assert _run(dataset[:20]).present == done
    result = _run(dataset)
    assert (result.embedded, result.present) == (4, 20)
    assert dataset.load_brain_results("detail").total_index_size == 72
    assert np.array_equal(before, dataset.values("one_embedding"))

    for other in (
        Settings(backbone=DEMO, cover=3, device="cpu", vectors=1, keep_features=False),
        Settings(
            backbone=DEMO, cover=3, vectors=4, device="cpu", fuser="gmp",
            keep_features=False,
        ),
    ):
        with pytest.raises(ValueError, match="another space"):
            compute_index.compute(Index(dataset, "detail"), dataset, other)
    assert _run(dataset, single, overwrite=True).embedded == 24
    assert not dataset.has_field(FIELD)
    _run(dataset, overwrite=True)
    compute_index.delete(Index(dataset, "detail"))
    assert similarities(dataset) == ["one"] and dataset.list_runs() == ["one"]
    assert not dataset.has_field(FIELD) and not dataset.has_field("detail_embedding")


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"vectors": 0}, "0 vectors per image: give 2 to 16"),
        ({"vectors": 17}, "17 vectors"),
        ({"vectors": True}, "True vectors"),
        ({"vectors_by": "magic"}, "vectors_by='magic'"),
        ({"keep_features": "float64"}, "keep_features='float64'"),
    ],
)
def test_settings_that_cannot_work(dataset, wrong, message):
    settings = Settings(**({"backbone": DEMO, "vectors": 2} | wrong))
    with pytest.raises(ValueError, match=message):
        compute_index.compute(Index(dataset, "detail"), dataset, settings)


def test_an_unknown_backend_and_a_field_of_somebody_else(dataset):
    with pytest.raises(ValueError, match="unknown similarity backend 'fast'"):
        compute_index.compute(Index(dataset, "detail"), dataset, FEW, backend="fast")
    dataset.add_sample_field(FIELD, fo.StringField)
    with pytest.raises(ValueError, match=f"field {FIELD!r} exists"):
        compute_index.compute(Index(dataset, "detail"), dataset, FEW)


@pytest.mark.slow
def test_kept_features_serve_every_fuser(dataset, encoded, caplog):
    kept = Settings(
        backbone=DEMO, cover=3, fuser="mean", keep_features="float16",
        device="cpu",
    )
    caplog.set_level("INFO", "detail_embed")
    _run(dataset, kept)
    assert "patch features of 24 images: about" in caplog.text
    folder = records.read(dataset, "detail").features
    store = FeatureStore.open(folder)
    assert set(store.ids) == set(dataset.values("id"))
    encoded.clear()
    _run(dataset, brain_key="few")
    _run(
        dataset,
        Settings(
            backbone=DEMO, cover=3, vectors=2, vectors_by="facility-location",
            proxies=["red cube", "sphere"], device="cpu", fuser="gmp",
            keep_features=False,
    ),
        brain_key="words",
    )
    assert not encoded
    assert records.read(dataset, "few").features == folder
    assert dataset.load_brain_results("few").total_index_size == 72

    for key in ("detail", "few"):
        compute_index.delete(Index(dataset, key))
    assert len(FeatureStore.open(folder)) == 24
    compute_index.delete(Index(dataset, "words"))
    assert not feature_stores.find(dataset, store.slug)


def test_features_can_be_kept_later_and_once(dataset, encoded, monkeypatch):
    few = dataset[:6]
    settings = {"backbone": DEMO, "cover": 2, "fuser": "mean", "device": "cpu"}
    _run(few, Settings(**settings, keep_features=False))
    assert records.read(dataset, "detail").features is None
    result = _run(few, Settings(**settings, keep_features="int8"))
    assert (result.embedded, result.present) == (6, 0)
    assert len(FeatureStore.open(records.read(dataset, "detail").features)) == 6
    encoded.clear()
    assert _run(few, Settings(**settings, keep_features="int8")).present == 6
    assert not encoded
    with pytest.raises(ValueError, match="keep_features='int8', or delete"):
        _run(few, Settings(**settings, keep_features="float16"))
    monkeypatch.setattr(disk_space, "free_bytes", lambda folder: 10)
    with pytest.raises(ValueError, match="of 18 images: .* make room"):
        _run(dataset, Settings(**settings, keep_features="int8"))


def test_a_disk_that_is_too_small_is_refused_at_once(dataset, monkeypatch):
    kept = Settings(backbone=DEMO, keep_features="int8", vectors=1)
    assert "24 images take about 1.1 MB in int8" in feature_stores.describe(
        dataset, kept
    )
    monkeypatch.setattr(feature_stores, "free_bytes", lambda folder: 10)
    with pytest.raises(ValueError, match="DETAIL_EMBED_DATA"):
        compute_index.compute(Index(dataset, "detail"), dataset, kept)


KEPT = Settings(
    backbone=DEMO, cover=3, vectors=3, keep_features="float16", device="cpu",
    fuser="gmp",
    )


def _by_maxsim(dataset):
    """Ids by brute force, their scores, and the patches that have them."""
    query = encode_query(Backbone.load(DEMO, device="cpu"), QUERY)
    store = FeatureStore.open(records.read(dataset, "detail").features)
    near = {id: F.normalize(store[id].features, dim=1) @ query for id in store.ids}
    ids = sorted(near, key=lambda id: -float(near[id].max()))
    boxes = [store[id].boxes[int(near[id].argmax())] / 256 for id in ids]
    return ids, [float(near[id].max()) for id in ids], boxes


def _notice(ctx):
    """What the App tells a user."""
    (notice,) = (
        r.params["message"]
        for r in ctx.executor._requests
        if r.operator_uri == "notify"
    )
    return notice


def test_the_reranked_order_is_that_of_brute_force(dataset, operator):
    _run(dataset, KEPT, also_global=True)
    ids, scores, boxes = _by_maxsim(dataset)
    for key in ("detail", "detail_global"):
        found = operator(dataset, QUERY, brain_key=key, k=10, candidates=1.0)
        assert found.view.values("id") == found.ids == ids[:10]
        np.testing.assert_allclose(found.scores, scores[:10], atol=1e-5)
        for (x, y, w, h), box in zip(found.boxes, boxes):
            np.testing.assert_allclose([x, y, x + w, y + h], box, atol=1e-6)

    few = operator(dataset, QUERY, k=3, candidates=6)
    native = dataset.sort_by_similarity(QUERY, brain_key="detail", k=18)
    proposed = native.values("id")[:6]
    assert few.ids == [id for id in ids if id in proposed][:3]
    view = dataset[5:12]
    assert set(operator(view, QUERY).ids) == set(view.values("id"))

    ctx = foo.ExecutionContext(
        request_params={
            "dataset_name": dataset.name,
            "view": dataset.view()._serialize(),
            "params": {"text": QUERY, "brain_key": "detail", "k": 4},
        },
        executor=Executor(),
        operator_uri=operator.uri,
    )
    properties = operator.resolve_input(ctx).type.properties
    assert properties["brain_key"].default == "detail"
    assert "in the 24 images" in properties["text"].view.description
    assert not [p for p in properties.values() if p.invalid]
    assert operator.execute(ctx)["found"] == 4
    assert _notice(ctx) == "4 of 24 images, best first"
    assert "set_view" in [r.operator_uri for r in ctx.executor._requests]


def test_images_without_features_keep_their_order_at_the_end(dataset, operator):
    _run(dataset[:4], KEPT)
    _run(dataset, FEW)
    native = dataset.sort_by_similarity(QUERY, brain_key="detail", k=72).values("id")
    ids = [id for id in _by_maxsim(dataset)[0]]
    found = operator(dataset, QUERY, k=24)
    assert found.ids == ids + [id for id in native if id not in ids]
    assert found.scores[4:] == [None] * 20
    assert None not in found.boxes  # the best of their few vectors knows a place
    params = {"text": QUERY, "brain_key": "detail", "k": 6}
    ctx = foo.ExecutionContext(
        request_params={"dataset_name": dataset.name, "params": params},
        executor=Executor(),
        operator_uri=operator.uri,
    )
    operator.execute(ctx)
    assert "the last 2 have no patch features" in _notice(ctx)


def test_deleted_images_take_no_places(dataset, operator):
    _run(dataset, KEPT)
    first = operator(dataset, QUERY, k=8).ids
    dataset.delete_samples(first)
    found = operator(dataset, QUERY, k=8, candidates=8)
    assert len(found.ids) == 8 and not set(first) & set(found.ids)


def test_searches_that_cannot_be_reranked(dataset, operator):
    _run(dataset[:8])
    for wrong, message in [
        ({"brain_key": "gone"}, "unknown brain key 'gone'"),
        ({"text": " "}, "type what to look for"),
        ({"k": 0}, "k=0: give a whole number"),
        ({"k": 5, "candidates": 4}, "fewer than k=5"),
        ({"k": 5, "candidates": 0.1}, "are 2 images"),
        ({"candidates": 1.5}, "at most 1.0"),
        ({"candidates": -1}, "candidates=-1"),
        ({}, "no patch features are stored .*keep_features='float16'"),
    ]:
        with pytest.raises(ValueError, match=message):
            operator(dataset, **({"text": QUERY, "k": 2} | wrong))

    _run(dataset[:8], KEPT)
    folder = Path(records.read(dataset, "detail").features)
    label = json.loads((folder / "store.json").read_text())
    (folder / "store.json").write_text(json.dumps(label | {"slug": "other-cc3"}))
    with pytest.raises(ValueError, match="of other-cc3, but the index 'detail'"):
        operator(dataset, QUERY, k=2)
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="are gone: compute the index 'detail' again"):
        operator(dataset, QUERY, k=2)
    assert _run(dataset[:8], KEPT).embedded == 8
    assert len(operator(dataset, QUERY, k=2).ids) == 2
