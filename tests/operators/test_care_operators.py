"""The operators that look after indexes: update, rename, delete, export."""

from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.operators as foo
import pyarrow.parquet as pq
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from tests.forms import problems_of

MEAN = Settings(backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False)
KEPT = Settings(
    backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features="float16"
)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))


def _uri(name):
    return f"@detail/detail-embed/{name}"


def _context(name, dataset, view=None, **params):
    view = dataset.view() if view is None else view
    request = {
        "dataset_name": dataset.name, "view": view._serialize(), "params": params,
        "filters": {},  # as the App asks
    }
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=_uri(name)
    )


def _form(name, dataset, view=None, **params):
    """The properties of a form, and what it complains about."""
    ctx = _context(name, dataset, view, **params)
    form = foo.get_operator(_uri(name)).resolve_input(ctx)
    assert form.to_json()
    return form.type.properties, problems_of(form)


def _execute(name, dataset, view=None, **params):
    """The result, and the messages shown."""
    ctx = _context(name, dataset, view, **params)
    operator = foo.get_operator(_uri(name))
    result = operator.execute(ctx)
    if not isinstance(result, dict):
        for _ in result:
            pass
    requests = ctx.executor._requests
    notices = [r.params for r in requests if r.operator_uri == "notify"]
    assert operator.resolve_output(ctx).to_json()
    return result, [(n["variant"], n["message"]) for n in notices], requests


def _run_delegated(queued):
    assert queued.delegated
    service = DelegatedOperationService()
    service.execute_queued_operations(log=False)
    run = service.get(queued.result["id"])
    assert run.run_state == "completed", run.result and run.result.error
    service.delete_operation(run.id)
    return run.result.result


def test_forms_without_an_index(dataset):
    for name in ("update_index", "rename_index", "delete_index", "export_vectors"):
        assert "compute detail embeddings first" in _form(name, dataset)[1][0]
        config = foo.get_operator(_uri(name)).config
        assert config.icon and config.risk_level and not config.unlisted


def test_update(dataset, tmp_path):
    compute_index.compute(Index.of(dataset[:20], "detail"), dataset[:20], MEAN).finish()
    properties, problems = _form("update_index", dataset)
    assert problems == []
    assert "20 of 24 images have a vector, 4 are new" in (
        properties["coverage"].view.label
    )
    properties, problems = _form("update_index", dataset, dataset[:20])
    assert problems == []
    assert "Files that have changed since" in properties["coverage"].view.label
    gone = "The index 'gone' is not there any more: choose another"
    assert _form("update_index", dataset, brain_key="gone")[1] == [gone]

    dataset.add_sample(fo.Sample(filepath=str(tmp_path / "gone.png")))
    _, notices, requests = _execute("update_index", dataset, brain_key="detail")
    (notice,) = notices
    assert notice[0] == "success" and notice[1].startswith("4 images embedded, 20 had")
    assert any(r.operator_uri == "reload_dataset" for r in requests)
    label = _form("update_index", dataset)[0]["coverage"].view.label
    assert "1 failed and are tried again (1 x is missing). " in label

    sample = dataset.first().copy()
    dataset.add_sample(fo.Sample(filepath=sample.filepath))
    update = foo.get_operator(_uri("update_index"))
    assert update(dataset, "detail", device="cpu")["embedded"] == 1
    dataset.add_sample(fo.Sample(filepath=sample.filepath))
    assert _run_delegated(update(dataset, delegate=True))["embedded"] == 1
    with pytest.raises(ValueError, match="no index of detail-embed"):
        update(dataset, "nope")


def test_rename(dataset):
    compute_index.compute(Index.of(dataset[:3], "detail"), dataset[:3], MEAN).finish()
    assert _form("rename_index", dataset)[1] == []
    assert "letters" in _form("rename_index", dataset, new_key="a b")[1][0]
    assert "belongs" in _form("rename_index", dataset, new_key="detail")[1][0]
    assert _form("rename_index", dataset, new_key="better")[1] == []
    result, notices, requests = _execute(
        "rename_index", dataset, brain_key="detail", new_key="better"
    )
    assert result == {"brain_key": "better"}
    assert notices == [("success", "The index 'detail' is now 'better'")]
    assert any(r.operator_uri == "reload_dataset" for r in requests)
    foo.get_operator(_uri("rename_index"))(dataset, "better", "best")
    searchable = similarities(dataset)
    assert searchable == ["best", "best_global"] and dataset.list_runs() == ["best"]


def test_delete(dataset, tmp_path):
    compute_index.compute(
        Index.of(dataset[:8], "detail"), dataset[:8], KEPT, also_global=True
    ).finish()
    model = dataset.get_brain_info("detail").config.model
    fob.compute_similarity(
        dataset, embeddings="detail_embedding", model=model, brain_key="theirs"
    )
    properties, problems = _form("delete_index", dataset)
    assert problems == ["Choose one: detail, detail_global, theirs"]
    assert "what" not in properties
    properties, problems = _form("delete_index", dataset, brain_key="detail")
    assert problems == []
    shards = (tmp_path / "data").rglob("*.safetensors")
    size = sum(path.stat().st_size for path in shards)
    text = properties["what"].view.description
    assert text.startswith("The index 'detail': the vectors of 8 images (0.008 MB)")
    assert "'detail_global' (whole image)" in text
    assert f"{size / 1e6:.3f} MB of patch features" in text
    theirs = _form("delete_index", dataset, brain_key="theirs")[0]["what"]
    assert "did not make" in theirs.view.description

    result, notices, _ = _execute("delete_index", dataset, brain_key="detail_global")
    assert result == {"left": "detail, theirs"}
    assert notices == [("success", "The index 'detail_global' was deleted")]
    compute_index.compute(Index.of(dataset[:8], "second"), dataset[:8], KEPT).finish()
    text = _form("delete_index", dataset, brain_key="detail")[0]["what"]
    assert "not this index's alone" in text.view.description
    delete = foo.get_operator(_uri("delete_index"))
    for key in ("detail", "theirs", "second"):
        delete(dataset, key)
    assert not list((tmp_path / "data").rglob("*.safetensors"))
    with pytest.raises(ValueError, match="no similarity index"):
        delete(dataset, "detail")


def test_export(dataset, tmp_path):
    compute_index.compute(Index.of(dataset[:5], "detail"), dataset[:5], MEAN).finish()
    properties, problems = _form("export_vectors", dataset)
    assert problems == []
    path = Path(properties["path"].default).expanduser()
    assert path == tmp_path / f"{dataset.slug}-detail.parquet"
    _, notices, _ = _execute("export_vectors", dataset, brain_key="detail")
    assert notices == [("success", f"5 vectors written to {path}")]
    assert "exists" in _form("export_vectors", dataset)[1][0]
    assert _form("export_vectors", dataset, overwrite=True)[1] == []
    nowhere = str(tmp_path / "no" / "a.parquet")
    assert "make it first" in _form("export_vectors", dataset, path=nowhere)[1][0]

    export = foo.get_operator(_uri("export_vectors"))
    result = export(dataset[1:3], "detail", path, overwrite=True)
    assert (result.vectors, pq.read_table(path).num_rows) == (2, 2)
    other = tmp_path / "other.parquet"
    results = _run_delegated(export(dataset, "detail", other, delegate=True))
    assert results["vectors"] == 5 and results["path"] == str(other)
    assert pq.read_table(other).num_rows == 5


def test_an_export_that_fails_says_why(dataset):
    compute_index.compute(Index.of(dataset[:2], "detail"), dataset[:2], MEAN).finish()
    with pytest.raises(ValueError, match="none of the images has a vector"):
        _execute("export_vectors", dataset, dataset[5:], brain_key="detail")
