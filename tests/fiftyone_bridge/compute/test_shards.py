"""One index, embedded by several delegated runs."""

import multiprocessing
import os
import subprocess
import sys

import fiftyone as fo
import fiftyone.core.odm.database as food
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.compute import shards as index_shards
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs import lock as run_lock
from detail_embed.fiftyone_bridge.runs.lock import RunLock

COMPUTE = "@detail/detail-embed/compute_detail_embeddings"
GMP = Settings(backbone=DEMO, cover=2, fuser="gmp", device="cpu", keep_features=False)
_WORK = """
import sys
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

service, done = DelegatedOperationService(), 0
wanted = {"operator": sys.argv[1], "dataset_name": sys.argv[2]}
while service.list_operations(run_state=ExecutionRunState.QUEUED, **wanted):
    done += len(service.execute_queued_operations(limit=1, **wanted))
"""


def _vectors(dataset, field="detail_embedding"):
    return np.stack(dataset.values(field))


@pytest.mark.slow
def test_delegated_shards_in_two_processes(dataset, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    dataset.add_sample(fo.Sample(filepath=str(bad)))
    service = DelegatedOperationService()
    options = {"backbone": DEMO, "cover": 2, "fuser": "gmp", "device": "cpu"}
    options["keep_features"] = False
    compute = foo.get_operator(COMPUTE)
    try:
        compute(dataset, **options, also_global=True, delegate=True, shards=2)
        mine = {"operator": COMPUTE, "dataset_name": dataset.name}
        (parent,) = service.execute_queued_operations(**mine)
        parent.raise_exceptions()
        queued = service.list_operations(run_state=ExecutionRunState.QUEUED, **mine)
        assert sorted(op.context.params["shard"] for op in queued) == [[0, 2], [1, 2]]
        record = records.read(dataset, "detail")
        assert parent.result["space"] == record.space
        assert not dataset.has_field("detail_embedding")

        command = [sys.executable, "-c", _WORK, COMPUTE, dataset.name]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        workers = [subprocess.Popen(command, env=env, cwd=tmp_path) for _ in range(2)]
        assert [worker.wait(300) for worker in workers] == [0, 0]
        done = service.list_operations(run_state=ExecutionRunState.COMPLETED, **mine)
        assert len(done) == 3
    finally:
        for op in service.list_operations(dataset_name=dataset.name):
            service.delete_operation(op.id)

    dataset.reload()
    assert records.read(dataset, "detail").space == record.space
    assert set(similarities(dataset)) == {"detail", "detail_global"}
    assert len(dataset.exists("detail_error")) == 1
    dataset.delete_samples([dataset.last().id])
    compute_index.compute(Index(dataset, "whole"), dataset, GMP).finish()
    np.testing.assert_allclose(
        _vectors(dataset), _vectors(dataset, "whole_embedding"), atol=1e-6
    )
    assert len(dataset.sort_by_similarity("a red cube", brain_key="detail", k=24)) == 24


def test_the_shard_that_ends_last_makes_the_index(dataset):
    compute_index.prepare(Index(dataset, "detail"), dataset, GMP).finish()
    second = compute_index.compute(
        Index(dataset, "detail"), dataset, GMP, shard=(1, 3)
    ).finish()
    first = iter(
        compute_index.compute(Index(dataset, "detail"), dataset, GMP, shard=(0, 3))
    )
    next(first)
    third = compute_index.compute(
        Index(dataset, "detail"), dataset, GMP, shard=(2, 3)
    ).finish()
    assert "detail" not in dataset.list_brain_runs()
    for _ in first:
        pass
    assert "detail" in dataset.list_brain_runs()
    assert len(dataset.exists("detail_embedding")) == 24
    assert 0 < second.embedded + third.embedded < 24
    assert _ended(dataset) == []
    again = compute_index.compute(
        Index(dataset, "detail"), dataset, GMP, shard=(1, 3)
    ).finish()
    assert (again.embedded, again.present) == (0, second.embedded)
    assert _ended(dataset) == ["1/3"]  # of a run that begins anew
    compute_index.prepare(Index(dataset, "detail"), dataset, GMP).finish()
    assert _ended(dataset) == []


def test_deleted_samples_do_not_keep_the_index_from_being_made(dataset):
    compute_index.prepare(Index(dataset, "detail"), dataset, GMP).finish()
    ids = dataset.values("id")
    mine = index_shards.mine([(id, "") for id in ids], (0, 2))
    theirs = index_shards.mine([(id, "") for id in ids], (1, 2))
    run = iter(
        compute_index.compute(Index(dataset, "detail"), dataset, GMP, shard=(0, 2))
    )
    next(run)  # it knows its samples
    dataset.delete_samples([mine[0][0], theirs[0][0]])
    for _ in run:
        pass
    dataset.delete_samples([mine[1][0]])
    compute_index.compute(
        Index(dataset, "detail"), dataset, GMP, shard=(1, 2)
    ).finish()
    view = dataset.sort_by_similarity("a red cube", brain_key="detail", k=24)
    assert len(view) == 21


def test_a_shard_that_was_killed_as_the_last_is_the_last_again(dataset, monkeypatch):
    compute_index.prepare(Index(dataset, "detail"), dataset, GMP).finish()
    compute_index.compute(
        Index(dataset, "detail"), dataset, GMP, shard=(0, 2)
    ).finish()
    with monkeypatch.context() as broken:
        broken.setattr(compute_index.brain_runs, "build", _kill)
        with pytest.raises(KeyboardInterrupt):
            compute_index.compute(
                Index(dataset, "detail"), dataset, GMP, shard=(1, 2)
            ).finish()
    assert "detail" not in dataset.list_brain_runs()
    compute_index.compute(
        Index(dataset, "detail"), dataset, GMP, shard=(1, 2)
    ).finish()
    assert "detail" in dataset.list_brain_runs() and _ended(dataset) == []


def test_of_shards_that_end_at_one_moment_one_is_the_last():
    dataset = fo.Dataset()
    context = multiprocessing.get_context("fork")
    barrier, last = context.Barrier(3), context.Queue()
    enders = [
        context.Process(target=_end, args=(dataset, (i, 3), barrier, last))
        for i in range(3)
    ]
    for ender in enders:
        ender.start()
    rounds = [last.get(timeout=60) for _ in range(3)]
    for ender in enders:
        ender.join()
    dataset.delete()
    assert [sum(shards) for shards in zip(*rounds)] == [1] * 20


def test_the_last_shard_holds_the_lock_alone(dataset):
    with RunLock(dataset, "detail", shard=(0, 2)):
        assert not index_shards.is_last(Index(dataset, "detail"), (0, 2))
    with RunLock(dataset, "detail", "a computation", shard=(1, 2)):
        assert index_shards.is_last(Index(dataset, "detail"), (1, 2))
        with pytest.raises(ValueError, match="by a computation of process"):
            run_lock.check_free(dataset, "detail", (0, 2))
    with RunLock(dataset, "detail", shard=(0, 2)), RunLock(
        dataset, "detail", shard=(1, 2)
    ):
        assert not index_shards.is_last(Index(dataset, "detail"), (1, 2))
        assert index_shards.is_last(Index(dataset, "detail"), (0, 2))
        index_shards.forget(Index(dataset, "detail"))
    assert _ended(dataset) == []


def _ended(dataset):
    lock = {"_id": run_lock.id_of(dataset, "detail")}
    return (run_lock.open_locks().find_one(lock) or {}).get("ended", [])


def _kill(*arguments, **options):
    raise KeyboardInterrupt


def _end(dataset, shard, barrier, last):
    food._disconnect()  # the connections of the parent
    answers = []
    for _ in range(20):
        with RunLock(dataset, "detail", shard=shard):
            barrier.wait()
            answers.append(index_shards.is_last(Index(dataset, "detail"), shard))
            barrier.wait()
            if answers[-1]:
                index_shards.forget(Index(dataset, "detail"))
        barrier.wait()
    last.put(answers)


def test_shards_that_cannot_be(dataset):
    with pytest.raises(ValueError, match="no embedding space yet.*prepare"):
        compute_index.compute(Index(dataset, "detail"), dataset, GMP, shard=(0, 2))
    compute_index.prepare(Index(dataset, "detail"), dataset, GMP).finish()
    with pytest.raises(ValueError, match=r"shard=\(2, 2\)"):
        compute_index.compute(Index(dataset, "detail"), dataset, GMP, shard=(2, 2))
    compute = foo.get_operator(COMPUTE)
    with pytest.raises(ValueError, match="schedule the run"):
        compute(dataset, backbone=DEMO, shards=2)
    with pytest.raises(ValueError, match="shards=0"):
        compute(dataset, backbone=DEMO, brain_key="b", shards=0, delegate=True)
