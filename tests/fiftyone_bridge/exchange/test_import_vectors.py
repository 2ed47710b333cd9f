"""Vectors in Parquet files as indexes."""

import dataclasses
import json
import shutil
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fiftyone.operators.executor import Executor

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.distributed.parts import PartFolder
from detail_embed.distributed.worker import PartWorker
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.compute import update as index_update
from detail_embed.fiftyone_bridge.exchange import vector_files
from detail_embed.fiftyone_bridge.exchange.export_vectors import export_vectors
from detail_embed.fiftyone_bridge.exchange.import_vectors import import_vectors
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.space import DetailEmbedder
from tests.forms import problems_of

CPU = EncodeOptions(device="cpu")
GMP = Settings(backbone=DEMO, cover=2, fuser="gmp", device="cpu", keep_features=False)
MEAN = Settings(backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False)
FEW = Settings(
    backbone=DEMO, cover=2, vectors=3, device="cpu", fuser="gmp", keep_features=False
)


@pytest.fixture(scope="module")
def backbone():
    return Backbone.load(DEMO, device="cpu")


@pytest.fixture
def make_parts(backbone, dataset, tmp_path):
    """Embeds files in parts, in a space that is fitted on the dataset."""

    def make(files, fuser, name="parts", cover=2, **windows):
        space = DetailEmbedder(backbone, CompleteCover(cover, **windows), fuser)
        space.fit(dataset.values("filepath"))
        space.save(tmp_path / f"{name}-space")
        folder = PartFolder.create(
            tmp_path / name, files, tmp_path / f"{name}-space", part_rows=5
        )
        worker = PartWorker(folder.directory, CPU)
        worker({"part": np.arange(len(folder))})
        return folder.directory, space

    return make


def _gmp():
    return fusers.create("gmp", dim=256)


def test_parts_become_an_index_that_update_goes_on_with(
    dataset, make_parts, tmp_path, monkeypatch
):
    monkeypatch.setattr(vector_files, "_ROWS", 4)
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    failed = fo.Sample(filepath=str(bad))
    dataset.add_sample(failed)
    paths = dataset.values("filepath")
    parts, space = make_parts([*paths[:20], str(bad), "/nowhere/a.jpg"], _gmp())
    steps = [*(run := import_vectors(
        Index(dataset, "detail"), dataset, parts, also_global=True, device="cpu"
    ))]
    assert [step.fraction for step in steps] == sorted(s.fraction for s in steps)
    assert (run.result.images, run.result.failed, run.result.unmatched) == (20, 1, 1)
    assert run.result.space == space.slug == records.read(dataset, "detail").space
    assert "no image" in dataset[failed.id].detail_error

    expected = space.embed_files(paths[:20])
    for field, vectors in (
        ("detail_embedding", expected.vectors),
        ("detail_global_embedding", expected.global_vectors),
    ):
        found = np.stack(dataset[:20].values(field))
        np.testing.assert_allclose(found, vectors, atol=1e-6)
    scores = expected.vectors @ space.encode_texts(["a red cube"])[0].numpy()
    view = dataset.sort_by_similarity("a red cube", brain_key="detail", k=5)
    best = [paths[i] for i in np.argsort(-scores)[:5]]
    assert view.values("filepath") == best
    assert len(dataset.sort_by_similarity("a cube", brain_key="detail_global", k=3))

    update = index_update.update(
        Index(dataset, "detail"), dataset, options=CPU
    ).finish()
    assert (update.embedded, update.present, update.failed) == (4, 20, 1)
    assert update.space == space.slug
    rest = space.embed_files(paths[20:24]).vectors
    found = np.stack(dataset[20:24].values("detail_embedding"))
    np.testing.assert_allclose(found, rest, atol=1e-6)
    again = compute_index.compute(
        Index(dataset, "detail"), dataset, GMP, also_global=True
    ).finish()
    assert (again.embedded, again.present) == (0, 24)


def test_windows_without_detail_are_part_of_the_index(dataset, make_parts):
    parts, _ = make_parts(dataset.values("filepath"), _gmp(), skip_flat=True)
    import_vectors(Index(dataset, "detail"), dataset, parts, device="cpu").finish()
    settings = dataclasses.replace(GMP, skip_flat=True)
    assert compute_index.compute(
        Index(dataset, "detail"), dataset, settings
    ).finish().present == 24
    with pytest.raises(ValueError, match="skip_flat"):
        compute_index.compute(Index(dataset, "detail"), dataset, GMP)


def test_parts_by_id_go_to_an_index_that_is_there(dataset, make_parts, tmp_path):
    compute_index.compute(Index.of(dataset[:6], "detail"), dataset[:6], MEAN).finish()
    ids, paths = dataset[6:12].values(["id", "filepath"])
    table = pa.table({"id": ids, "uri": paths[::-1]})  # the id decides
    pq.write_table(table, tmp_path / "in.parquet")
    parts, space = make_parts(
        tmp_path / "in.parquet", fusers.create("mean", dim=256), cover=1
    )
    result = import_vectors(
        Index.of(dataset[:10], "detail"), dataset[:10], parts
    ).finish()
    assert (result.images, result.unmatched) == (4, 2)
    assert len(dataset.exists("detail_embedding")) == 10
    found = np.stack(dataset[6:10].values("detail_embedding"))
    expected = space.embed_files(paths[::-1][:4]).vectors
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(dataset.sort_by_similarity("a cube", brain_key="detail", k=10)) == 10

    other, _ = make_parts(dataset.values("filepath")[:3], _gmp(), "other")
    with pytest.raises(ValueError, match="holds vectors of the space .*mean.*gmp"):
        import_vectors(Index(dataset, "detail"), dataset, other)
    (other / "part-000000.parquet").rename(parts / "part-000009.parquet")
    with pytest.raises(ValueError, match="holds parts of several spaces"):
        import_vectors(Index(dataset, "detail"), dataset, parts)


def test_several_vectors_per_image(dataset, make_parts, monkeypatch):
    monkeypatch.setattr(vector_files, "_ROWS", 4)
    paths = dataset.values("filepath")
    parts, space = make_parts(paths[:8], FewVectors(256, k=3))
    result = import_vectors(Index(dataset, "detail"), dataset, parts).finish()
    assert result.images == 8
    compute_index.compute(Index(dataset, "own"), dataset, FEW).finish()
    identity = records.read(dataset, "own").identity | {"fuser": "auto"}
    assert records.read(dataset, "detail").identity == identity
    for sample in dataset[:8]:
        mine, own = sample.detail_patches.detections, sample.own_patches.detections
        assert [d.level for d in mine] == [d.level for d in own]
        boxes = [[d.bounding_box for d in some] for some in (mine, own)]
        np.testing.assert_allclose(*boxes)
    assert len(dataset.sort_by_similarity("a cube", brain_key="detail", k=2))
    assert index_update.update(
        Index(dataset, "detail"), dataset, options=CPU
    ).finish().present == 8


@pytest.mark.slow
def test_exported_files_come_back(dataset, tmp_path):
    compute_index.compute(
        Index.of(dataset[:6], "detail"), dataset[:6], MEAN, also_global=True
    ).finish()
    compute_index.compute(Index.of(dataset[:4], "few"), dataset[:4], FEW).finish()
    one, few = tmp_path / "one.parquet", tmp_path / "few.parquet"
    export_vectors(Index(dataset, "detail"), dataset, one).finish()
    export_vectors(Index(dataset, "few"), dataset, few).finish()
    copy = dataset.clone()
    for key in ("detail", "few"):
        compute_index.delete(Index(copy, key))
    assert import_vectors(Index(copy, "detail"), copy, one).finish().images == 6
    assert import_vectors(Index(copy, "few"), copy, few).finish().images == 4
    found = np.stack(copy[:6].values("detail_embedding"))
    expected = np.stack(dataset[:6].values("detail_embedding"))
    np.testing.assert_array_equal(found, expected)
    path = "few_patches.detections.vector"
    for mine, own in zip(copy[:4].values(path), dataset[:4].values(path)):
        np.testing.assert_array_equal(np.stack(mine), np.stack(own))
    with pytest.raises(ValueError, match="no vectors of whole images"):
        import_vectors(Index(copy, "third"), copy, one, also_global=True)
    copy.delete()


def test_what_cannot_be_imported(dataset, make_parts, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="neither a Parquet file nor a folder"):
        import_vectors(Index(dataset, "detail"), dataset, tmp_path)
    with pytest.raises(ValueError, match="path must name"):
        import_vectors(Index(dataset, "detail"), dataset, "")
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"id": ["a"]}), foreign)
    with pytest.raises(ValueError, match="not written by detail-embed"):
        import_vectors(Index(dataset, "detail"), dataset, foreign)
    parts, space = make_parts(["/nowhere/a.jpg"], _gmp())
    with pytest.raises(ValueError, match="none of the 1 rows"):
        import_vectors(Index(dataset, "detail"), dataset, parts).finish()
    compute_index.delete(Index(dataset, "detail"))
    file = parts / "part-000000.parquet"
    (parts / "space").rename(parts / "moved")
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    with pytest.raises(ValueError, match="space .* is not on this machine"):
        import_vectors(Index(dataset, "detail"), dataset, file)
    with pytest.raises(ValueError, match="none of the 1 rows"):
        import_vectors(
            Index(dataset, "detail"), dataset, file, space=parts / "moved"
        ).finish()
    assert zoo.is_published(space.slug)
    dataset.add_sample_field("third_embedding", fo.VectorField)
    with pytest.raises(ValueError, match="'third_embedding' exists"):
        import_vectors(Index(dataset, "third"), dataset, file)


def test_the_operator(dataset, make_parts):
    operator = foo.get_operator("@detail/detail-embed/import_vectors")
    parts, space = make_parts(dataset.values("filepath")[:4], _gmp())

    def context(**params):
        request = {
            "dataset_name": dataset.name,
            "view": dataset.view()._serialize(),
            "params": params,
            "filters": {},  # as the App asks
        }
        return foo.ExecutionContext(
            request_params=request, executor=Executor(), operator_uri=operator.uri
        )

    def problems(**params):
        return problems_of(operator.resolve_input(context(**params)))

    assert problems() == []
    assert "nowhere is neither" in problems(path="/nowhere")[0]
    form = operator.resolve_input(context(path=str(parts))).type.properties
    assert form["files"].view.label == f"4 vectors of {space.slug}"
    ctx = context(path=str(parts), brain_key="app")
    for _ in operator.execute(ctx):
        pass
    notes = [r.params for r in ctx.executor._requests if r.operator_uri == "notify"]
    assert notes[0]["message"].startswith("4 images got their vectors")
    result = operator(dataset, Path(parts), brain_key="sdk", also_global=True)
    assert result.images == 4 and "sdk_global" in dataset.list_brain_runs()


def rewritten(source, target, facts=None, **columns):
    """A copy of a file of vectors, with other columns or metadata."""
    table = pq.read_table(source)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, values)
    if facts:
        known = json.loads(table.schema.metadata[b"detail_embed"])
        new = {b"detail_embed": json.dumps(known | facts).encode()}
        table = table.replace_schema_metadata(new)
    pq.write_table(table, target)
    return target


@pytest.fixture
def exported(dataset, tmp_path):
    """Six images of an index, and the file that was exported of it."""
    some = dataset[:6]
    compute_index.compute(Index.of(some, "detail"), some, GMP).finish()
    path = tmp_path / "exported.parquet"
    export_vectors(Index(dataset, "detail"), dataset, path).finish()
    return path


def test_rows_that_are_no_vectors_are_errors_and_spoil_nothing(
    dataset, exported, tmp_path
):
    good = np.stack(dataset[:6].values("detail_embedding"))
    matrix = 3 * good  # lengths are made 1
    matrix[1, 5], matrix[2] = np.nan, 0
    column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), 256)
    bad = rewritten(exported, tmp_path / "bad.parquet", vector=column)
    result = import_vectors(Index(dataset, "detail"), dataset, bad).finish()
    assert (result.images, result.failed) == (4, 2)
    found = np.stack(dataset[:6].values("detail_embedding"))
    np.testing.assert_allclose(found, good, atol=1e-6)
    reasons = dataset[1:3].values("detail_error")
    assert "NaN" in reasons[0] and "is 0" in reasons[1]

    compute_index.delete(Index(dataset, "detail"))
    result = import_vectors(Index(dataset, "detail"), dataset, bad).finish()
    assert len(dataset.exists("detail_embedding")) == result.images == 4
    assert len(dataset.sort_by_similarity("a cube", brain_key="detail", k=6)) == 4


def test_vectors_of_another_dimension_or_space_are_refused(dataset, exported, tmp_path):
    index = Index(dataset, "new")
    short = np.stack(dataset[:6].values("detail_embedding"))[:, :8]
    column = pa.FixedSizeListArray.from_arrays(pa.array(short.ravel()), 8)
    file = rewritten(exported, tmp_path / "short.parquet", vector=column)
    with pytest.raises(ValueError, match="256 dimensions, but they have 8"):
        import_vectors(index, dataset, file).finish()

    some = dataset[:6]
    compute_index.compute(Index.of(some, "mean"), some, MEAN).finish()
    other = tmp_path / "mean.parquet"
    export_vectors(Index(dataset, "mean"), dataset, other).finish()
    claims = {"space": records.read(dataset, "detail").space}
    file = rewritten(other, tmp_path / "edited.parquet", claims)
    with pytest.raises(ValueError, match="not of the space .*gmp.* cosine of"):
        import_vectors(index, dataset, file).finish()
    assert not dataset.has_field("new_embedding") and index.record is None

    table = pq.read_table(exported)
    place = table.column_names.index("vector")
    lists = table["vector"].cast(pa.list_(pa.float32()))
    loose = table.set_column(place, "vector", lists)
    pq.write_table(loose, tmp_path / "loose.parquet")
    with pytest.raises(ValueError, match="vectors of the type list"):
        import_vectors(index, dataset, tmp_path / "loose.parquet")


def test_imported_vectors_know_their_files(dataset, exported, tmp_path):
    compute_index.delete(Index(dataset, "detail"))
    paths = dataset[:2].values("filepath")
    link = tmp_path / "link.png"
    link.symlink_to(paths[0])
    column = pa.array([str(link), *dataset[1:6].values("filepath")])
    file = rewritten(exported, tmp_path / "moved.parquet", filepath=column)
    import_vectors(Index(dataset, "detail"), dataset, file).finish()
    result = index_update.update(
        Index(dataset, "detail"), dataset[:6], options=CPU
    ).finish()
    assert (result.embedded, result.present) == (0, 6)


def test_an_import_knows_files_that_have_changed_since(dataset, make_parts, tmp_path):
    paths = []
    for i, source in enumerate(dataset[:6].values("filepath")):
        paths.append(tmp_path / f"{i}.png")
        shutil.copy(source, paths[-1])
    some = fo.Dataset(persistent=True)
    some.add_samples([fo.Sample(filepath=str(path)) for path in paths])
    parts, space = make_parts(paths, _gmp())
    index = Index(some, "detail")
    compute_index.compute(Index(some, "own"), some, GMP).finish()
    exported = tmp_path / "own.parquet"
    export_vectors(Index(some, "own"), some, exported).finish()
    shutil.copy(paths[0], paths[1])
    for source in (parts, exported):
        import_vectors(index, some, source, device="cpu").finish()
        result = index_update.update(index, some, options=CPU).finish()
        assert (result.embedded, result.present) == (1, 5)
        same = some[:2].values("detail_embedding")
        np.testing.assert_allclose(*same, atol=1e-5)
        compute_index.delete(index)
    some.delete()
