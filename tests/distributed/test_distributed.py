"""Parts of a list of files, embedded by workers of a real local Ray cluster."""

import json
import os
import signal
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.distributed.__main__ import main
from detail_embed.distributed.parts import PartFolder
from detail_embed.distributed.run import embed
from detail_embed.distributed.worker import PartWorker
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.stream import stream_stored
from detail_embed.features import FeatureStore
from detail_embed.features.shards import open_shards
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.space import DetailEmbedder
from detail_embed.storage.vector_parquet import part_files, read_facts


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("ray", reason='Ray is not installed: pip install ".[ray]"')
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # at 15, a busy machine starves workers
    import ray

    env = {"env_vars": {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}}
    ray.init(
        num_cpus=2, num_gpus=0, include_dashboard=False, runtime_env=env,
        object_store_memory=100 * 2**20,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def backbone():
    return Backbone.load(DEMO, device="cpu")


@pytest.fixture(scope="module")
def paths(scenes, tmp_path_factory):
    """24 images, and one that is none."""
    bad = tmp_path_factory.mktemp("bad") / "bad.jpg"
    bad.write_text("no image")
    good = sorted(str(path) for path in scenes.rglob("*.png"))
    good += sorted(str(path) for path in scenes.rglob("*.jpg"))
    return [*good[:5], str(bad), *good[5:]]


@pytest.fixture(scope="module")
def space(backbone, paths, tmp_path_factory):
    """A space of 14 patches, and the folder where it is."""
    folder = tmp_path_factory.mktemp("space")
    fuser = fusers.create("gmp", dim=backbone.dim)
    space = DetailEmbedder(backbone, CompleteCover(3), fuser).fit(paths)
    space.save(folder)
    return space, folder


def _matrix(table, column):
    """``(n, d)``, NaN where there is none."""
    dim = table.schema.field(column).type.list_size
    nothing = [np.nan] * dim
    return np.array([row or nothing for row in table[column].to_pylist()], np.float32)


def _work(folder, parts=None):
    """Does parts in this process."""
    worker = PartWorker(folder.directory, EncodeOptions(device="cpu"))
    worker({"part": np.array(folder.todo() if parts is None else parts)})


def _states(files):
    return {f.name: (f.stat().st_ino, f.stat().st_mtime_ns) for f in files}


def _kill_the_first(directory, killed):
    """Kills the worker that has written the first part; notes what was there then."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = sorted(directory.glob("part-*.parquet"))
        if found:
            worker = read_facts(found[0])["worker"]
            os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
            killed["worker"] = worker
            killed["parts"] = _states(directory.glob("part-*.parquet"))
            return
        time.sleep(0.005)


@pytest.mark.slow
def test_a_killed_workers_part_is_done_again_and_only_that(
    cluster, paths, space, tmp_path
):
    out, killed = tmp_path / "out", {}
    thread = threading.Thread(target=_kill_the_first, args=(out, killed))
    thread.start()
    result = embed(paths, space[1], out, part_rows=2, keep_features=True)
    thread.join()
    assert (result.parts, result.present) == (13, 0)
    assert (result.images, result.failed) == (25, 1)
    assert result.space == space[0].slug

    files = part_files(out)
    assert len(files) == 13 > len(killed["parts"]) > 0
    assert _states(files).items() >= killed["parts"].items()
    workers = {f.name: read_facts(f)["worker"] for f in files}
    theirs = {name for name, by in workers.items() if by == killed["worker"]}
    assert theirs and theirs <= killed["parts"].keys()

    encoded = [id for shard in open_shards(out / "features") for id in shard.ids]
    twice = {path for path in encoded if encoded.count(path) > 1}
    assert len({paths.index(path) // 2 for path in twice}) <= 1
    assert {*encoded} == {*paths} - {paths[5]}
    good = [*paths[:5], *paths[6:]]
    store = FeatureStore.open(out / "features")
    assert len(store[paths[0]].features) == 14
    (expected,) = stream_stored(good, store, space[0].fuser)
    table = pa.concat_tables(map(pq.read_table, files))
    assert table["filepath"].to_pylist() == paths
    for column, vectors in (
        ("vector", expected.vectors), ("global_vector", expected.global_vectors)
    ):
        mine = np.delete(_matrix(table, column), 5, axis=0)
        np.testing.assert_allclose(mine, vectors, atol=1e-6)
    encoded_again = space[0].embed_files(paths[:1]).vectors
    np.testing.assert_allclose(encoded_again, expected.vectors[:1], atol=3e-3)
    reasons = table["error"].to_pylist()
    assert [i for i, reason in enumerate(reasons) if reason] == [5]
    assert "no image" in reasons[5]

    files[3].unlink()
    before = _states(part_files(out))
    _work(PartFolder.create(out, paths, space[1], keep_features=True))
    assert _states(part_files(out)).items() >= before.items()
    assert len(part_files(out)) == 13
    done = embed(paths, space[1], out, keep_features=True)
    assert (done.parts, done.present) == (0, 13)


@pytest.mark.slow
def test_workers_make_the_vectors_of_the_engine(cluster, paths, space, tmp_path):
    some = [*paths[:8], paths[0]]
    sizes = [Image.open(path).size for path in some if path != paths[5]]
    limit = max(width * height for width, height in sizes)
    large = tmp_path / "large.pbm"  # which is not read by parts
    Image.new("1", (limit, 2)).save(large, "PPM")
    out = tmp_path / "out"
    limits = {"max_pixels": limit, "concurrency": 1}
    result = embed([*some, large], space[1], out, part_rows=3, **limits)
    assert (result.parts, result.images, result.failed) == (4, 10, 2)
    table = pa.concat_tables(map(pq.read_table, part_files(out)))
    expected = space[0].embed_files(some)
    mine = np.delete(_matrix(table, "vector")[:9], 5, axis=0)
    np.testing.assert_allclose(mine, np.delete(expected.vectors, 5, axis=0), atol=1e-6)
    assert table["error"].to_pylist()[9].startswith(f"has {limit} x 2 pixels")


def test_ids_and_paths_of_parquet_files(paths, space, tmp_path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    uris = [f"file://{paths[0]}", *paths[1:5]]
    pq.write_table(pa.table({"id": list("abc"), "uri": uris[:3]}), inputs / "0.parquet")
    pq.write_table(pa.table({"id": list("de"), "uri": uris[3:]}), inputs / "1.parquet")
    folder = PartFolder.create(tmp_path / "out", inputs, space[1], part_rows=2)
    assert len(folder) == 3 and folder.todo() == [0, 1, 2]
    assert folder.read_input(1) == [("c", paths[2]), ("d", paths[3])]
    _work(folder, [1])
    assert folder.todo() == [0, 2] and folder.count(1) == (2, 0)
    table = pq.read_table(folder.path(1))
    assert table["id"].to_pylist() == ["c", "d"]
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 256)
    assert json.loads(table.schema.metadata[b"detail_embed"])["space"] == space[0].slug
    assert [*folder.directory.glob(".*")] == []


def test_several_vectors_per_image(backbone, paths, tmp_path):
    space = DetailEmbedder(backbone, CompleteCover(2), FewVectors(256, k=3))
    space.fit(paths).save(tmp_path / "space")
    folder = PartFolder.create(tmp_path / "out", paths[3:7], tmp_path / "space")
    _work(folder)
    table = pq.read_table(folder.path(0))
    assert folder.count(0) == (4, 1)
    expected = space.embed_files(paths[3:7]).vectors
    rows = np.array(table["filepath"].to_pylist())
    for path, vectors in zip(paths[3:7], expected):
        mine = _matrix(table.filter(pa.array(rows == path)), "vector")
        if path != paths[5]:
            distinct = np.unique(vectors.round(5), axis=0)
            np.testing.assert_allclose(
                np.unique(mine.round(5), axis=0), distinct, atol=2e-5
            )
    boxes = [box for box in table["box"].to_pylist() if box]
    assert len(boxes) == len(table) - 1 and len(boxes[0]) == 4


def test_what_belongs_to_another_run_is_refused(backbone, paths, space, tmp_path):
    other = tmp_path / "other"
    fuser = fusers.create("mean", dim=backbone.dim)
    DetailEmbedder(backbone, CompleteCover(1), fuser).save(other)
    folder = PartFolder.create(tmp_path / "out", paths, space[1], part_rows=20)
    assert PartFolder.create(folder.directory, paths, space[1]).part_rows == 20
    for files, where, rows, message in [
        (paths, other, 20, "begun with space=.*gmp.*, not .*mean"),
        (paths[1:], space[1], 20, "begun with input="),
        (paths, space[1], 5, "begun with part_rows=20, not 5"),
    ]:
        with pytest.raises(ValueError, match=message):
            PartFolder.create(folder.directory, files, where, rows)
    assert [*folder.directory.glob(".*")] == []

    foreign = PartFolder.create(tmp_path / "foreign", paths[:2], other)
    _work(foreign)
    foreign.path(0).rename(folder.path(1))
    with pytest.raises(ValueError, match="part-000001.parquet is of another run"):
        embed(paths, space[1], folder.directory)
    folder.path(1).write_text("damaged")
    with pytest.raises(ValueError, match="is no Parquet file"):
        folder.todo()
    (folder.directory / "run.json").unlink()
    with pytest.raises(ValueError, match="holds parts, but no run.json"):
        PartFolder.create(folder.directory, paths, space[1])


def test_input_that_cannot_be_used(paths, space, tmp_path):
    table = tmp_path / "in.parquet"
    for columns, message in [
        ({"name": ["a"]}, r"\['name'\].*uri or filepath"),
        ({"uri": ["http://a/b.jpg"]}, "http://a/b.jpg is no file, and of no store"),
        ({"uri": [None]}, "names None as a file"),
        ({"id": ["a", "a"], "uri": paths[:2]}, "2 files have the id a"),
        ({"uri": pa.array([], pa.string())}, "no files to embed"),
    ]:
        pq.write_table(pa.table(columns), table)
        with pytest.raises(ValueError, match=message):
            PartFolder.create(tmp_path / "out", table, space[1])
    with pytest.raises(ValueError, match="nowhere is neither a Parquet file"):
        PartFolder.create(tmp_path / "out", tmp_path / "nowhere", space[1])
    with pytest.raises(ValueError, match="no space.json"):
        PartFolder.create(tmp_path / "out", paths, tmp_path)
    with pytest.raises(ValueError, match="part_rows=0"):
        PartFolder.create(tmp_path / "out", paths, space[1], part_rows=0)
    with pytest.raises(ValueError, match="concurrency=0"):
        embed(paths, space[1], tmp_path / "out", concurrency=0)


def test_the_command_line_goes_on_where_a_run_ended(
    paths, space, tmp_path, monkeypatch, capsys
):
    table = tmp_path / "in.parquet"
    pq.write_table(pa.table({"filepath": paths[:4]}), table)
    folder = PartFolder.create(tmp_path / "out", table, space[1], part_rows=3)
    _work(folder)
    arguments = [str(table), str(space[1]), str(folder.directory)]
    monkeypatch.setattr(sys, "argv", ["distributed", *arguments])
    main()
    out = capsys.readouterr().out
    assert "parts: 0" in out and "present: 2" in out
    sys.argv.append("--part-rows=2")
    with pytest.raises(SystemExit):
        main()
    assert "begun with part_rows=3, not 2" in capsys.readouterr().err
