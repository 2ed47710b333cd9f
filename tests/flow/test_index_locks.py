"""What changes an index waits for the run that writes to it, and says for which."""

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.compute import update as index_update
from detail_embed.fiftyone_bridge.exchange import export_vectors, import_vectors
from detail_embed.fiftyone_bridge.index import delete, records, rename
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs import lock
from detail_embed.fiftyone_bridge.runs.lock import RunLock
from tests.forms import problems_of

MEAN = Settings(backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False)
OTHER = Settings(
    backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features=False
)
HELD = "brain key '{}' is being written by a computation of process"


@pytest.fixture
def small(dataset):
    """Two images with vectors, and of whole images too."""
    dataset.delete_samples(dataset.values("id")[2:])
    compute_index.compute(
        Index(dataset, "detail"), dataset, MEAN, also_global=True
    ).finish()
    return dataset


@pytest.fixture
def exported(small, tmp_path):
    path = tmp_path / "v.parquet"
    export_vectors.export_vectors(Index.of(small, "detail"), small, path).finish()
    return path


def locks_of(dataset):
    mine = {"_id": {"$regex": f"^{dataset._doc.id}/"}}
    return lock.open_locks().count_documents(mine)


def test_all_that_changes_an_index_is_refused(small, exported):
    with RunLock(small, "detail", "a computation"):
        for change in (
            lambda: compute_index.compute(Index.of(small, "detail"), small, MEAN),
            lambda: compute_index.compute(
                Index.of(small, "detail"), small, MEAN, overwrite=True
            ),
            lambda: compute_index.prepare(Index.of(small, "detail"), small, MEAN),
            lambda: index_update.update(Index.of(small, "detail"), small),
            lambda: delete.delete(Index(small, "detail")),
            lambda: delete.delete_any(Index(small, "detail")),
            lambda: delete.delete_any(Index(small, "detail_global")),
            lambda: delete.check_delete(Index(small, "detail_global")),
            lambda: rename.rename(Index(small, "detail"), "new"),
            lambda: rename.check_rename(Index(small, "detail"), "new"),
            lambda: import_vectors.import_vectors(
                Index.of(small, "detail"), small, exported
            ),
        ):
            with pytest.raises(ValueError, match=HELD.format("detail")):
                change()
    with RunLock(small, "new", "a computation"):
        with pytest.raises(ValueError, match=HELD.format("new")):
            rename.rename(Index(small, "detail"), "new")
    assert set(similarities(small)) == {"detail", "detail_global"}
    rename.rename(Index(small, "detail"), "new")
    delete.delete_any(Index(small, "new"))
    assert small.list_brain_runs() == [] == small.list_runs()
    assert locks_of(small) == 0


def test_the_forms_say_who_holds_it(small, exported):
    def problem(name, **params):
        request = {"dataset_name": small.name, "params": params}
        operator = foo.get_operator(f"@detail/detail-embed/{name}")
        ctx = foo.ExecutionContext(
            request_params=request, executor=Executor(), operator_uri=operator.uri
        )
        return "".join(problems_of(operator.resolve_input(ctx)))

    forms = {
        "delete_index": {"brain_key": "detail"},
        "rename_index": {"brain_key": "detail", "new_key": "new"},
        "import_vectors": {"brain_key": "detail", "path": str(exported)},
        "update_index": {"brain_key": "detail"},
    }
    with RunLock(small, "detail", "a computation"):
        for name, params in forms.items():
            assert "by a computation of process" in problem(name, **params), name
    assert problem("delete_index", brain_key="detail") == ""


def test_an_import_holds_the_lock(small, exported):
    run = iter(
        import_vectors.import_vectors(Index.of(small, "detail"), small, exported)
    )
    next(run)
    with pytest.raises(ValueError, match="by an import of process"):
        delete.delete(Index(small, "detail"))
    run.close()
    delete.delete(Index(small, "detail"))


def test_what_changed_before_a_run_began_is_seen(small, exported):
    update = compute_index.compute(Index.of(small, "detail"), small, MEAN)
    shard = compute_index.compute(Index.of(small, "detail"), small, MEAN, shard=(0, 2))
    more = import_vectors.import_vectors(Index.of(small, "detail"), small, exported)
    delete.delete(Index(small, "detail"))
    with pytest.raises(ValueError, match="no embedding space yet"):
        shard.finish()
    compute_index.compute(Index.of(small, "detail"), small, OTHER).finish()
    for run in (update, more):
        with pytest.raises(ValueError, match="holds vectors of the space .*cc2"):
            run.finish()
    assert records.read(small, "detail").identity["cover"] == 2


def test_a_dataset_that_is_renamed_meanwhile(small):
    name = small.name
    small.add_sample(fo.Sample(filepath="/missing.png"))
    run = iter(compute_index.compute(Index.of(small, "detail"), small, MEAN))
    next(run)
    fo.load_dataset(name).name = f"{name}-renamed"
    with pytest.raises(ValueError, match=f"'{name}-renamed'.*by a computation"):
        delete.delete(Index(small, "detail"))
    for _ in run:
        pass
    assert locks_of(small) == 0
    assert len(small.exists("detail_error")) == 1
