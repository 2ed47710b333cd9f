"""The evaluation operator as FiftyOne runs it: from its plugin folder."""

import importlib
import json
from urllib.parse import unquote

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.evaluate import runs
from detail_embed.fiftyone_bridge.index import delete
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from tests.forms import problems_of

EVALUATE = "@detail/detail-embed/evaluate_retrieval"
PARAMS = {"brain_keys": ["detail_global", "detail"], "label_field": "ground_truth"}


@pytest.fixture(scope="module")
def evaluate():
    return foo.get_operator(EVALUATE)


@pytest.fixture(scope="module")
def indexed(scenes):
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

    dataset = load_clver_ds(scenes)
    settings = Settings(
        backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False
    )
    compute_index.compute(
        Index(dataset, "detail"), dataset, settings, also_global=True
    ).finish()
    yield dataset
    dataset.delete()


@pytest.fixture
def dataset(indexed):
    yield indexed
    for name in runs.names(indexed):
        indexed.delete_run(name)


def _context(dataset, **params):
    request = {
        "params": params,
        "dataset_name": dataset.name,
        "view": dataset.view()._serialize(),
        "filters": {},  # as the App asks
    }
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=EVALUATE
    )


def _problems(operator, ctx):
    return problems_of(operator.resolve_input(ctx))


def _requests(ctx, name):
    requests = ctx.executor._requests
    return [r.params for r in requests if r.operator_uri == name]


def test_the_form_offers_what_there_is(evaluate, dataset):
    ctx = _context(dataset, **PARAMS)
    form = evaluate.resolve_input(ctx)
    properties = form.type.properties
    assert properties["brain_keys"].view.values() == ["detail_global", "detail"]
    assert properties["brain_keys"].default == ["detail_global", "detail"]
    assert properties["label_field"].view.values() == ["ground_truth"]
    assert properties["label_field"].default == "ground_truth"
    assert properties["name"].default == "retrieval"
    assert properties["ks"].default == "10"
    ctx.params.update({k: p.default for k, p in properties.items() if p.default})
    assert _problems(evaluate, ctx) == []
    assert form.to_json()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"brain_keys": []}, "at least one index name"),
        ({"brain_keys": ["gone"]}, "Unknown index name 'gone'"),
        ({"label_field": None}, "Choose the label field"),
        ({"label_field": "background"}, "'background' is no field"),
        ({"ks": "10, many"}, "'10, many'"),
        ({"ks": "10, 100"}, "not 100"),
        ({"name": "my run"}, "'my run'"),
        ({"export_dir": __file__}, "is a file"),
    ],
)
def test_the_form_says_what_cannot_work(evaluate, dataset, params, message):
    (problem,) = _problems(evaluate, _context(dataset, **(PARAMS | params)))
    assert message in problem


def test_the_app_shows_a_table_and_plots(evaluate, dataset, tmp_path):
    folder = {"absolute_path": str(tmp_path)}
    ctx = _context(dataset, **PARAMS, ks="5, 10", export_dir=folder, download=True)
    for _ in evaluate.execute(ctx):
        pass
    fractions = [p["progress"] for p in _requests(ctx, "set_progress")]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    (output,) = _requests(ctx, "show_output")
    assert json.dumps(output, allow_nan=False)
    results = output["results"]
    assert set(output["outputs"]["type"]["properties"]) == set(results)
    assert "`detail` against `detail_global`: mAP +0.0" in results["summary"]
    evaluation = runs.load(dataset, "retrieval")
    head, _, *lines = _cells(results["table"])
    assert head[:4] == ["Index", "Words", "Classes", "mAP"] and "R@5" in head
    groups = [word for word in evaluation.words for _ in PARAMS["brain_keys"]]
    assert [line[1] for line in lines] == groups
    assert [line[0] for line in lines[:2]] == ["`detail_global`", "`detail`"]
    row = evaluation.rows[0]
    assert lines[0][3].startswith(f"{100 * row.map:.1f}\N{NO-BREAK SPACE}(")
    head, _, *lines = _cells(results["scales"])
    assert head[1] == "Side in %"
    assert [line[1] for line in lines[:2]] == ["10–16", "10–16"]
    assert [trace["name"] for trace in results["by_scale"]] == PARAMS["brain_keys"]
    assert len(results["by_class"][0]["x"]) == 25
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".csv", ".csv", ".png"]
    downloads = _requests(ctx, "browser_download")
    names = ["retrieval.csv", "retrieval_classes.csv"]
    assert [d["filename"] for d in downloads] == names
    for download, name in zip(downloads, names):
        text = unquote(download["url"].partition(",")[2])
        assert text.encode() == (tmp_path / name).read_bytes()


def _cells(table):
    """The cells of a Markdown table."""
    return [line.strip("| ").split(" | ") for line in table.splitlines()]


def test_the_form_says_what_is_missing(evaluate, dataset):
    plain = fo.Dataset()
    plain.add_samples([fo.Sample(filepath=path) for path in dataset.values("filepath")])
    try:
        ctx = _context(plain)
        (problem,) = _problems(evaluate, ctx)
        assert "No index of this dataset can be searched by text" in problem
        assert "brain_keys" not in evaluate.resolve_input(ctx).type.properties
        settings = Settings(
            backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False
        )
        compute_index.compute(Index.of(plain, "detail"), plain, settings).finish()
        (problem,) = _problems(evaluate, _context(plain))
        assert "no field of Detections or Classifications" in problem
        assert evaluate.resolve_output(ctx).type.properties == {}
    finally:
        plain.delete()


def test_one_group_of_words_is_told_once(evaluate, dataset):
    settings = Settings(
        backbone=DEMO, cover=1, fuser="ridge", proxy_field="ground_truth",
        keep_features=False,
    )
    compute_index.compute(Index(dataset, "known"), dataset, settings).finish()
    result = evaluate(dataset, "known", "ground_truth")
    assert {query.words for query in result.queries} == {"proxy"}
    package = type(evaluate).__module__.rpartition(".")[0]
    output = importlib.import_module(f"{package}.evaluation_output")
    head, _, *lines = _cells(output.results(result)["table"])
    assert "Words" not in head and len(lines) == 1
    delete.delete(Index(dataset, "known"))


def test_the_app_shows_why_a_run_failed(evaluate, dataset):
    ctx = _context(dataset, **(PARAMS | {"brain_keys": ["gone"]}))
    with pytest.raises(ValueError, match="gone"):
        list(evaluate.execute(ctx))
    del ctx.request_params["filters"]
    assert "gone" in evaluate.execute(ctx)["problem"]  # to an agent


def test_from_python(evaluate, dataset, tmp_path):
    result = evaluate(dataset, "detail", "ground_truth", "mine", export_dir=tmp_path)
    assert [row.method for row in result.rows][:1] == ["detail"]
    assert runs.names(dataset) == ["mine"]
    assert (tmp_path / "mine.csv").is_file()
    with pytest.raises(ValueError, match="'mine' belongs to another run"):
        evaluate(dataset, "detail", "ground_truth", "mine", delegate=True)


def test_a_delegated_run(evaluate, dataset):
    service = DelegatedOperationService()
    queued = evaluate(dataset, **PARAMS, delegate=True)
    service.execute_queued_operations(operator=EVALUATE, limit=1)
    run = service.get(queued.result["id"])
    try:
        assert run.run_state == "completed", run.result.error
        results = run.result.result
        assert "`detail_global`" in results["table"]
        ctx = _context(dataset)
        assert evaluate.resolve_output(ctx).to_json()
    finally:
        service.delete_operation(run.id)
    dataset.reload()
    assert runs.names(dataset) == ["retrieval"]


def test_labels_without_a_class_or_a_box_are_left_out_and_counted(evaluate, dataset):
    copy = dataset.clone(persistent=True)
    before = evaluate(dataset, "detail", "ground_truth")
    ids = copy.values("id")
    wrong = [
        fo.Detection(label="", bounding_box=[0.1, 0.1, 0.2, 0.2]),
        fo.Detection(label="a car"),
        fo.Detection(label="a car", bounding_box=[float("nan")] * 4),
        fo.Detection(bounding_box=[0.1, 0.1, 0.2, 0.2]),
    ]
    for id, label in zip(ids, wrong):
        sample = copy[id]
        sample.ground_truth.detections.append(label)
        sample.save()
    try:
        after = evaluate(copy, "detail", "ground_truth")
        assert after.facts["left_out"] == {"without a class": 2, "without a box": 2}
        assert "2 labels without a box were left out" in after.notes
        assert [q.label for q in after.queries] == [q.label for q in before.queries]
        np.testing.assert_allclose(after.values, before.values)
        copy.set_values("ground_truth", [fo.Detections(detections=[label]) for label
                                         in wrong[:1] * len(copy)])
        with pytest.raises(ValueError, match="looked for: 24 without a class"):
            evaluate(copy, "detail", "ground_truth")
    finally:
        copy.delete()
