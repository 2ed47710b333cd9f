"""One index, embedded by several delegated runs."""

import os
import subprocess
import sys

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

from detail_embed import demo
from detail_embed.fiftyone_bridge import index, records
from detail_embed.fiftyone_bridge.settings import Settings

COMPUTE = "@detail/detail-embed/compute_detail_embeddings"
GMP = Settings(backbone=demo.NAME, cover=2, fuser="gmp", device="cpu")
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


def test_delegated_shards_in_two_processes(dataset, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    dataset.add_sample(fo.Sample(filepath=str(bad)))
    service = DelegatedOperationService()
    options = {"backbone": demo.NAME, "cover": 2, "fuser": "gmp", "device": "cpu"}
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
    assert set(dataset.list_brain_runs()) == {"detail", "detail_global"}
    assert len(dataset.exists("detail_error")) == 1
    dataset.delete_samples([dataset.last().id])
    index.compute(dataset, GMP, "whole").finish()
    np.testing.assert_allclose(
        _vectors(dataset), _vectors(dataset, "whole_embedding"), atol=1e-6
    )
    assert len(dataset.sort_by_similarity("a red cube", brain_key="detail", k=24)) == 24


def test_the_last_shard_makes_the_index(dataset):
    index.prepare(dataset, GMP).finish()
    ids = set(dataset.values("id"))
    second = index.compute(dataset, GMP, shard=(1, 3)).finish()
    third = index.compute(dataset, GMP, shard=(2, 3)).finish()
    assert "detail" not in dataset.list_brain_runs()
    first = index.compute(dataset, GMP, shard=(0, 3)).finish()
    assert "detail" in dataset.list_brain_runs()
    assert first.embedded + second.embedded + third.embedded == 24
    assert min(first.embedded, second.embedded, third.embedded) > 0
    assert set(dataset.exists("detail_embedding").values("id")) == ids
    again = index.compute(dataset, GMP, shard=(1, 3)).finish()
    assert (again.embedded, again.present) == (0, second.embedded)


def test_shards_that_cannot_be(dataset):
    with pytest.raises(ValueError, match="no embedding space yet.*prepare"):
        index.compute(dataset, GMP, shard=(0, 2))
    index.prepare(dataset, GMP).finish()
    with pytest.raises(ValueError, match=r"shard=\(2, 2\)"):
        index.compute(dataset, GMP, shard=(2, 2))
    compute = foo.get_operator(COMPUTE)
    with pytest.raises(ValueError, match="schedule the run"):
        compute(dataset, backbone=demo.NAME, shards=2)
    with pytest.raises(ValueError, match="shards=0"):
        compute(dataset, backbone=demo.NAME, brain_key="b", shards=0, delegate=True)
