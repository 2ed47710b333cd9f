"""The vectors of indexes as Parquet files."""

import json
import resource

import fiftyone.brain as fob
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.exchange import export_rows
from detail_embed.fiftyone_bridge.exchange.export_vectors import export_vectors
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings

MEAN = Settings(backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False)
FEW = Settings(
    backbone=DEMO, cover=2, vectors=2, device="cpu", fuser="gmp", keep_features=False
)

def _export(samples, path, key="detail", **kwargs):
    steps = [*(run := export_vectors(Index.of(samples, key), samples, path, **kwargs))]
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    return run.result


def _vectors(table):
    flat = table["vector"].combine_chunks().flatten().to_numpy()
    return flat.reshape(table.num_rows, -1)


def test_a_round_trip_in_small_row_groups(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_rows, "GROUP", 5)
    compute_index.compute(
        Index.of(dataset[:12], "detail"), dataset[:12], MEAN, also_global=True
    ).finish()
    path = tmp_path / "vectors.parquet"
    result = _export(dataset, path)
    assert (result.images, result.vectors, result.dim) == (12, 12, 256)
    assert result.num_bytes == path.stat().st_size and result.path == str(path)
    assert [*tmp_path.iterdir()] == [path]

    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [5, 5, 2]
    table = file.read()
    assert table.column_names == ["id", "filepath", "vector", "state", "content"]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 256)
    ids, paths, vectors = dataset[:12].values(["id", "filepath", "detail_embedding"])
    assert table["id"].to_pylist() == ids
    assert table["filepath"].to_pylist() == paths
    np.testing.assert_array_equal(_vectors(table), np.stack(vectors))

    facts = json.loads(table.schema.metadata[b"detail_embed"])
    record = records.read(dataset, "detail")
    assert facts["space"] == facts["model"] == record.space
    assert (facts["backbone"], facts["cover"], facts["fuser"]) == (DEMO, 1, "mean")
    assert (facts["brain_key"], facts["dataset"]) == ("detail", dataset.name)
    assert facts["versions"]["pyarrow"] and facts["identity"] == record.identity

    view = dataset[:12].sort_by("filepath", reverse=True).limit(7)
    _export(view, path, "detail_global", overwrite=True)
    table = pq.read_table(path)
    assert table["id"].to_pylist() == view.values("id")
    whole = np.stack(view.values("detail_global_embedding"))
    np.testing.assert_array_equal(_vectors(table), whole)
    facts = json.loads(table.schema.metadata[b"detail_embed"])
    assert (facts["space"], facts["identity"]) == (record.global_space, None)


def test_several_vectors_per_image(dataset, tmp_path):
    compute_index.compute(Index.of(dataset[:5], "detail"), dataset[:5], FEW).finish()
    first = dataset.first()
    first.detail_patches.detections = []  # somebody deleted them in the App
    first.save()
    result = _export(dataset, tmp_path / "few.parquet")
    table = pq.read_table(result.path)
    assert (result.images, result.vectors) == (4, len(table))
    labels = [d for sample in dataset[1:5] for d in sample.detail_patches.detections]
    assert len(labels) == len(table) > 4
    assert table["label_id"].to_pylist() == [label.id for label in labels]
    assert table["box"].to_pylist() == [label.bounding_box for label in labels]
    assert table["level"].to_pylist() == [label.level for label in labels]
    np.testing.assert_array_equal(_vectors(table), [label.vector for label in labels])
    owners = [s.id for s in dataset[1:5] for _ in s.detail_patches.detections]
    assert table["id"].to_pylist() == owners
    assert set(table["filepath"].to_pylist()) == set(dataset[1:5].values("filepath"))


def test_vectors_that_only_a_backend_has(dataset, tmp_path):
    rng = np.random.default_rng(0)
    images = {id: rng.standard_normal(8) for id in dataset[:9].values("id")}
    fob.compute_similarity(dataset, embeddings=images, brain_key="images")
    table = pq.read_table(_export(dataset, tmp_path / "a.parquet", "images").path)
    assert table["id"].to_pylist() == [*images]
    np.testing.assert_allclose(_vectors(table), [*images.values()], rtol=1e-6)
    facts = json.loads(table.schema.metadata[b"detail_embed"])
    assert facts["space"] is None and facts["brain_key"] == "images"

    part = dataset[3:6]
    boxes = [[d.bounding_box for d in s.ground_truth.detections] for s in part]
    labels = {
        id: rng.standard_normal((len(some), 8)).astype(np.float32)
        for id, some in zip(part.values("id"), boxes)
    }
    fob.compute_similarity(
        part, embeddings=labels, patches_field="ground_truth", brain_key="labels"
    )
    table = pq.read_table(_export(dataset, tmp_path / "b.parquet", "labels").path)
    np.testing.assert_array_equal(_vectors(table), np.concatenate([*labels.values()]))
    assert table["box"].to_pylist() == [box for some in boxes for box in some]
    assert set(table["level"].to_pylist()) == {None}
    ids = [d.id for s in part for d in s.ground_truth.detections]
    assert table["label_id"].to_pylist() == ids


def test_a_path_that_cannot_be_used(dataset, tmp_path):
    compute_index.compute(Index.of(dataset[:2], "detail"), dataset[:2], MEAN).finish()
    (tmp_path / "here").mkdir()
    there = tmp_path / "there.parquet"
    there.write_text("mine")
    for path, message in [
        ("", "path must name"),
        (None, "path must name"),
        (tmp_path / "here", "is a folder"),
        (tmp_path / "nowhere" / "a.parquet", "nowhere does not exist: make it first"),
        (there, "there.parquet exists.*overwrite=True"),
    ]:
        with pytest.raises(ValueError, match=message):
            export_vectors(Index(dataset, "detail"), dataset, path)
    assert there.read_text() == "mine"


def test_what_cannot_be_exported(dataset, tmp_path):
    compute_index.compute(Index.of(dataset[:4], "detail"), dataset[:4], MEAN).finish()
    path = tmp_path / "a.parquet"
    with pytest.raises(ValueError, match="'nope' is no similarity index.*'detail'"):
        export_vectors(Index(dataset, "nope"), dataset, path)
    with pytest.raises(ValueError, match="none of the images has a vector"):
        export_vectors(Index.of(dataset[4:], "detail"), dataset[4:], path).finish()
    sample = dataset.first()
    sample.detail_embedding = np.ones(3, np.float32)
    sample.save()
    with pytest.raises(ValueError, match="differ in length"):
        export_vectors(Index(dataset, "detail"), dataset, path).finish()
    assert not [*tmp_path.iterdir()]


def test_a_run_that_is_stopped_leaves_the_old_file(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_rows, "GROUP", 5)
    compute_index.compute(Index(dataset, "detail"), dataset, MEAN).finish()
    path = tmp_path / "a.parquet"
    path.write_text("old")
    steps = iter(
        export_vectors(Index(dataset, "detail"), dataset, path, overwrite=True)
    )
    next(steps)
    assert len([*tmp_path.iterdir()]) == 2
    steps.close()
    assert [*tmp_path.iterdir()] == [path] and path.read_text() == "old"


def test_a_full_disk_leaves_nothing(dataset, tmp_path):
    compute_index.compute(Index(dataset, "detail"), dataset, MEAN).finish()
    path = tmp_path / "a.parquet"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(RuntimeError, match="could not be written.*are free"):
            export_vectors(Index(dataset, "detail"), dataset, path).finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["vectors.npy", "vectors.csv", "vectors.parquet.gz"])
def test_a_file_of_another_kind_is_refused(dataset, tmp_path, name):
    compute_index.compute(Index.of(dataset[:1], "detail"), dataset[:1], MEAN).finish()
    with pytest.raises(ValueError, match=r"ends with \.parquet"):
        _export(dataset, tmp_path / name)
    assert not (tmp_path / name).exists()
