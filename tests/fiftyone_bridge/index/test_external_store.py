"""Vector databases: after any sequence of runs they hold one row per vector."""

import importlib.util
import shutil
from dataclasses import replace

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index, update
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.search.search import search

ONE = Settings(backbone=DEMO, cover=2, fuser="mean", device="cpu", vectors=1,
               keep_features=False)
FEW = replace(ONE, vectors=3)
BACKENDS = {"sklearn": "sklearn", "lancedb": "lancedb", "milvus": "milvus_lite"}


@pytest.fixture(params=BACKENDS)
def backend(request, tmp_path, monkeypatch):
    name = request.param
    if importlib.util.find_spec(BACKENDS[name]) is None:
        pytest.skip(f"{BACKENDS[name]} is not installed")
    if name != "sklearn":
        uri = tmp_path / ("milvus.db" if name == "milvus" else "lance")
        config = fob.brain_config.similarity_backends[name]
        monkeypatch.setitem(config, "uri", str(uri))
        if name == "milvus":
            monkeypatch.setitem(config, "metric", "cosine")
    return name


@pytest.fixture
def dataset(tmp_path, scenes):
    made = fo.Dataset(persistent=True)
    folder = tmp_path / "images"
    shutil.copytree(scenes / "images", folder)
    made.add_samples(
        [fo.Sample(filepath=str(path)) for path in sorted(folder.iterdir())[:12]]
    )
    yield made
    made.delete()


def compute(dataset, backend, settings=ONE, samples=None, **kwargs):
    index = Index(dataset, "detail")
    samples = dataset if samples is None else samples
    run = compute_index.compute(
        index, samples, settings, backend, also_global=False, **kwargs
    )
    return run.finish()


def update_all(dataset):
    return update.update(Index(dataset, "detail"), dataset).finish()


def check(dataset, count):
    """Rows are vectors, and the nearest to each is itself."""
    dataset.clear_cache()
    results = dataset.load_brain_results("detail", cache=False)
    index = Index(dataset, "detail")
    few = index.record.vectors > 1
    name = index.field + (".detections.vector" if few else "")
    ids, vectors = dataset.exists(index.field).values(["id", name])
    vectors = [np.array(v).reshape(-1, np.shape(v)[-1]) for v in vectors]
    assert len(ids) == count
    assert results.total_index_size == sum(map(len, vectors))
    for id, rows in zip(ids, vectors):
        found = results.sort_by_similarity(rows[0], k=1)
        assert found.first().id == id
    k = count // 2
    assert len(dataset.sort_by_similarity("cube", brain_key="detail", k=k)) <= k
    if not few:
        found = dataset.sort_by_similarity("cube", brain_key="detail", k=k)
        assert len(set(found.values("id"))) == k
    ours = search(index, dataset, "a red cube", k=count)
    assert sorted(ours.ids) == sorted(ids)


@pytest.mark.parametrize("settings", [ONE, FEW], ids=["one", "few"])
@pytest.mark.slow
def test_rows_are_vectors_after_any_sequence_of_runs(backend, settings, dataset):
    compute(dataset, backend, settings, dataset.limit(6))
    check(dataset, 6)
    update.update(Index(dataset, "detail"), dataset.limit(9)).finish()
    check(dataset, 9)
    update.update(Index(dataset, "detail"), dataset.limit(9)).finish()
    check(dataset, 9)

    dataset.delete_samples(dataset.limit(2).values("id"))
    update_all(dataset)
    check(dataset, 10)

    shutil.copy(dataset.last().filepath, dataset.first().filepath)
    paths = dataset.values("filepath")
    shutil.copy(paths[5], paths[3])
    assert update_all(dataset).embedded == 2
    dataset.delete_samples([dataset.last().id, dataset.skip(5).first().id])
    update_all(dataset)  # else two images have the same vector
    check(dataset, 8)
    compute(dataset, backend, settings, overwrite=True)
    check(dataset, 8)


def test_a_store_that_others_have_filled_twice_is_put_right(backend, dataset):
    if backend == "sklearn":
        pytest.skip("it reads the field")
    compute(dataset, backend)
    results = dataset.load_brain_results("detail", cache=False)
    ids, vectors = dataset.values(["id", "detail_embedding"])
    results.add_to_index(np.stack(vectors), ids)
    results.add_to_index(np.ones((1, len(vectors[0]))), ["0" * 24])
    update_all(dataset)
    check(dataset, 12)
