"""The operators as FiftyOne runs them: from its plugin folder."""

import inspect
import re
import sys
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor
from fiftyone.plugins.context import build_plugin_contexts

from detail_embed.backbone import bundled_model
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.brain_runs import similarities
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.storage.user_folders import data_directory
from tests.forms import problems_of

COMPUTE = "@detail/detail-embed/compute_detail_embeddings"
CREATE = "@detail/detail-embed/create_clver_ds"
EVALUATE = "@detail/detail-embed/evaluate_retrieval"
MANAGE = "@detail/detail-embed/manage_fusers"
SEARCH = "@detail/detail-embed/search_reranked"
TRAIN = "@detail/detail-embed/train_fuser"
NAMES = (
    "adapt_backbone",
    "apply_classifier",
    "classify_by_prompts",
    "clean_features",
    "compute_detail_embeddings",
    "create_clver_ds",
    "delete_index",
    "detail_search",
    "evaluate_retrieval",
    "export_vectors",
    "find_mistaken_labels",
    "find_near_duplicates",
    "find_outliers",
    "import_vectors",
    "index_videos",
    "manage_adapted_models",
    "manage_classifiers",
    "manage_concepts",
    "manage_fusers",
    "map_embeddings",
    "open_detail_search",
    "rename_index",
    "report_long_tail",
    "search_by_prompts",
    "search_reranked",
    "select_diverse_subset",
    "show_attention",
    "show_where",
    "tag_hits",
    "teach_concept",
    "train_classifier",
    "train_fuser",
    "update_index",
)
PARAMS = {"backbone": DEMO, "cover": "1", "fuser": "mean", "device": "cpu"}


@pytest.fixture(scope="module")
def compute():
    return foo.get_operator(COMPUTE)


@pytest.fixture(scope="module")
def create():
    return foo.get_operator(CREATE)


@pytest.fixture
def new_name():
    name = "made-by-an-operator"
    yield name
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def _context(uri, dataset=None, view=None, **params):
    request = {"params": params}
    if dataset is not None:
        request["dataset_name"] = dataset.name
        request["view"] = (view if view is not None else dataset.view())._serialize()
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=uri
    )


def _problems(operator, ctx):
    """What the form complains about."""
    return problems_of(operator.resolve_input(ctx))


def _requests(ctx, name):
    requests = ctx.executor._requests
    return [r.params for r in requests if r.operator_uri == name]


def test_the_plugin_loads_without_errors():
    contexts = {c.name: c for c in build_plugin_contexts()}
    ours = contexts["@detail/detail-embed"]
    assert not ours.errors
    assert sorted(i.uri.rpartition("/")[2] for i in ours.instances) == list(NAMES)


def test_the_toolbar_and_the_operator_browser_open_the_panel(compute, dataset):
    uri = "@detail/detail-embed/open_detail_search"
    operator, ctx = foo.get_operator(uri), _context(uri, dataset)
    place = operator.resolve_placement(ctx).to_json()
    assert place["place"] == "samples-grid-secondary-actions"
    assert compute.resolve_placement(ctx) is None
    operator.execute(ctx)
    (asked,) = _requests(ctx, "open_panel")
    assert (asked["name"], asked["isActive"]) == ("detail_search", True)
    found = [foo.get_operator(f"@detail/detail-embed/{name}") for name in NAMES]
    listed = [o.config for o in found if not o.config.unlisted]
    assert min(listed, key=lambda config: config.description[0]).name == operator.name


def test_the_form_accepts_its_own_defaults(compute, dataset):
    ctx = _context(COMPUTE, dataset, advanced=True)
    form = compute.resolve_input(ctx)
    properties = form.type.properties
    ctx.params.update({k: p.default for k, p in properties.items() if p.default})
    assert _problems(compute, ctx) == []
    covers = ["by the quality", "auto", *map(str, range(1, 16))]
    assert properties["cover"].type.values == covers
    assert form.to_json()


def test_the_form_asks_for_a_vocabulary_only_where_it_is_needed(compute, dataset):
    ctx = _context(COMPUTE, dataset, **PARAMS)
    assert "proxies" not in compute.resolve_input(ctx).type.properties
    ctx = _context(COMPUTE, dataset, **(PARAMS | {"fuser": "ridge"}))
    properties = compute.resolve_input(ctx).type.properties
    assert "auto" in properties["fuser"].type.values
    assert properties["fuser"].view.description.startswith("How the patches")
    assert properties["proxy_field"].view.values() == ["ground_truth"]
    assert _problems(compute, ctx) == []
    ctx.params["proxies"] = "red cube, sphere\ndog"
    assert _problems(compute, ctx) == []


def test_the_form_offers_a_few_vectors_and_to_keep_features(
    compute, dataset, monkeypatch
):
    ctx = _context(COMPUTE, dataset, **(PARAMS | {"vectors": 4, "cover": "3"}))
    properties = compute.resolve_input(ctx).type.properties
    assert properties["fuser"].default == "by the quality"
    assert "proxies" not in properties
    assert properties["vectors_by"].default == "kmeans"
    assert "24 images take about" in properties["keep_features"].view.description
    assert str(data_directory()) in properties["keep_features"].view.description
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(Path.home() / "kept"))
    properties = compute.resolve_input(ctx).type.properties
    assert "; ~/kept has" in properties["keep_features"].view.description
    assert _problems(compute, ctx) == []
    ctx.params["vectors_by"] = "facility-location"
    assert _problems(compute, ctx) == []
    assert "proxies" in compute.resolve_input(ctx).type.properties
    ctx.params |= {"vectors_by": "kmeans", "vectors": "17"}
    assert "17 vectors" in _problems(compute, ctx)[0]


@pytest.mark.parametrize(
    "params, message",
    [
        ({"brain_key": "two words"}, "two words"),
        ({"device": "cuda:9"}, "CUDA"),
        ({"cover": "many"}, "'many'"),
    ],
)
def test_the_form_says_what_cannot_work(compute, dataset, params, message):
    ctx = _context(COMPUTE, dataset, **(PARAMS | params))
    assert message in _problems(compute, ctx)[0]


def test_the_form_says_that_a_dataset_is_empty(compute):
    dataset = fo.Dataset()
    try:
        assert "no samples" in _problems(compute, _context(COMPUTE, dataset))[0]
    finally:
        dataset.delete()


def test_python_call_computes_and_searches(compute, dataset):
    result = compute(dataset[:4], **PARAMS, also_global=True)
    assert result["embedded"] == 4
    assert similarities(dataset) == ["detail", "detail_global"]
    view = dataset.sort_by_similarity("cube", brain_key="detail", k=25)
    assert len(view) == 4
    with pytest.raises(ValueError, match=result["space"]):
        compute(dataset, **(PARAMS | {"cover": 2}))


def test_the_app_shows_progress_and_the_result(compute, dataset):
    ctx = _context(COMPUTE, dataset, dataset[:20], **PARAMS)
    for _ in compute.execute(ctx):
        pass
    progress = _requests(ctx, "set_progress")
    assert any("images/s" in p["label"] and "left" in p["label"] for p in progress)
    fractions = [p["progress"] for p in progress]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    (notice,) = _requests(ctx, "notify")
    assert notice["variant"] == "success" and "20 images embedded" in notice["message"]
    assert progress[-1]["label"] == notice["message"]
    assert len(_requests(ctx, "reload_dataset")) == 1
    assert len(dataset.exists("detail_embedding")) == 20


def test_the_app_says_why_a_fuser_was_chosen(compute, dataset):
    ctx = _context(COMPUTE, dataset, dataset[:2], **(PARAMS | {"fuser": "auto"}))
    assert _problems(compute, ctx) == []
    for _ in compute.execute(ctx):
        pass
    (notice,) = _requests(ctx, "notify")
    message = notice["message"]
    assert "16 vectors an image and gmp were taken unmeasured: 2 images" in message
    assert "Patch features are kept, about" in message


def test_the_app_shows_why_a_run_failed(compute, dataset, tmp_path):
    missing = str(tmp_path / "missing.pt")
    ctx = _context(COMPUTE, dataset, **(PARAMS | {"pretrained": missing}))
    assert "missing.pt" in compute.execute(ctx)["problem"]  # to an agent
    ctx.request_params["filters"] = {}  # as the App asks
    with pytest.raises(ValueError, match="missing.pt"):
        list(compute.execute(ctx))
    (notice,) = _requests(ctx, "notify")
    assert notice["variant"] == "error" and "missing.pt" in notice["message"]


@pytest.fixture
def service():
    """A delegated service; what the test queued is deleted after it."""
    service = DelegatedOperationService()
    before = {run.id for run in service.list_operations(operator=COMPUTE)}
    yield service
    for run in service.list_operations(operator=COMPUTE):
        if run.id not in before:
            service.delete_operation(run.id)


def _execute(service, queued):
    assert queued.delegated
    service.execute_queued_operations(operator=COMPUTE, limit=1)
    run = service.get(queued.result["id"])
    assert run.run_state == "completed", run.result and run.result.error
    return run


def test_a_delegated_run(compute, dataset, service):
    run = _execute(service, compute(dataset[:5], **PARAMS, delegate=True))
    assert run.result.result["embedded"] == 5
    assert run.status.progress == 1
    dataset.reload()
    assert len(dataset.exists("detail_embedding")) == 5


def test_a_delegated_run_with_default_arguments_is_queued(compute, dataset, service):
    assert compute(dataset, backbone=DEMO, delegate=True).delegated
    for cover in ("7", 9, 11, 12, 13, 14, 15, "auto"):
        queued = compute(dataset, backbone=DEMO, cover=cover, delegate=True)
        assert queued.delegated


def test_a_delegated_run_with_no_default_argument(compute, dataset, service):
    arguments = {
        "backbone": DEMO, "pretrained": bundled_model.WEIGHTS, "cover": 2,
        "fuser": "ridge", "fuser_options": {"global_weight": 0.2},
        "brain_key": "other", "spacing": "authors", "vectors": 3,
        "vectors_by": "facility-location", "vector_bytes": 10**5,
        "keep_features": "int8",
        "proxies": ["red cube", "cat, dog"], "proxy_field": "ground_truth",
        "backend": "sklearn", "also_global": True, "batch_size": 8, "num_workers": 1,
        "device": "cpu", "precision": "fp32", "allow_random_weights": True,
        "overwrite": True, "max_pixels": 10**7, "skip_identical": False,
        "read_seconds": 30,
        "skip_flat": True, "patches_field": "ground_truth", "padding": 0.2,
        "features": "crops",  # "dense" leaves no window out
    }
    signature = inspect.signature(type(compute).__call__).parameters
    others = {"self", "sample_collection", "delegate", "shards"}
    assert set(signature) == others | arguments.keys()
    run = _execute(service, compute(dataset[:4], **arguments, delegate=True))
    assert run.result.result["embedded"] == 4
    dataset.reload()
    searchable = similarities(dataset)
    assert set(searchable) == {
        "other", "other_boxes", "other_global", "other_single"
    }
    identity = dataset.get_run_info("other").config.identity
    assert (identity["patches_field"], identity["padding"]) == ("ground_truth", 0.2)
    assert list(identity["proxies"]) == ["red cube", "cat, dog"]
    compute_index.delete(Index(dataset, "other"))


def test_an_execution_with_the_types_of_python(dataset):
    params = {
        "backbone": DEMO, "cover": 2, "brain_key": "x", "proxies": ["cat", "dog"],
        "fuser": "ridge", "keep_features": False, "pretrained": None,
    }
    result = foo.execute_operator(COMPUTE, ctx={"view": dataset[:2]}, params=params)
    assert not result.delegated
    assert similarities(dataset) == ["x", "x_global"]


@pytest.mark.parametrize(
    "wrong, message, said",
    [
        ({"cover": 2.7}, "2.7", "Complete Cover must be 1 to 15"),
        ({"cover": [2]}, "cover must be", "Complete Cover must be 1 to 15"),
        ({"cover": True}, "cover must be", "Complete Cover must be 1 to 15"),
        ({"proxies": 5}, "proxies", "Vocabulary must be words"),
        ({"batch_size": "8"}, "batch_size", "Batch size must be a whole number"),
        ({"shards": "8"}, "shards='8'", "Shards: '8': give the number"),
        ({"vectors": "many"}, "'many' vectors", "'many' vectors"),
        ({"brain_key": 5}, "brain key 5", "Index name 5: use letters"),
        ({"backbone": 5}, "backbone", "Model must be a text"),
        ({"pretrained": 5}, "pretrained", "Weights must be a text"),
        ({"device": 5}, "device", "Device must be a text"),
        ({"fuser": 5}, "5", "Unknown fuser 5"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(compute, dataset, wrong, message, said):
    with pytest.raises(ValueError, match=re.escape(message)):
        compute(dataset, **(PARAMS | wrong))
    ctx = _context(COMPUTE, dataset, **(PARAMS | wrong))
    assert _problems(compute, ctx)[0].startswith(said)


def test_words_in_a_text_are_read_as_in_the_form(compute, dataset):
    words = PARAMS | {"fuser": "ridge", "proxies": "cat, dog"}
    compute(dataset[:4], **words)
    identity = dataset.get_run_info("detail").config.identity
    assert list(identity["proxies"]) == ["cat", "dog"]


def test_a_delegated_run_is_checked_before_it_is_queued(compute, dataset):
    with pytest.raises(ValueError, match="letters, digits"):
        compute(dataset, **PARAMS, brain_key="no name", delegate=True)


def test_scenes_from_python(create, new_name, tmp_path):
    dataset = create(
        new_name, tmp_path, bank="solids", n=3, size=128, objects=(1, 2), scales=[0.3]
    )
    assert dataset.name == new_name and len(dataset) == 3
    assert set(dataset.distinct("ground_truth.detections.bank")) == {"solids"}
    assert all(str(tmp_path) in path for path in dataset.values("filepath"))
    with pytest.raises(ValueError, match="exists"):
        create(new_name, tmp_path)


def test_scenes_from_the_app(create, new_name, tmp_path):
    ctx = _context(
        CREATE,
        name=new_name,
        directory={"absolute_path": str(tmp_path)},
        bank="solids",
        n=2,
        size=96,
        low=1,
        high=1,
        scales="0.3, 0.4",
        seed=1,
    )
    assert _problems(create, ctx) == []
    list(create.execute(ctx))
    steps = _requests(ctx, "set_progress")
    assert [step["progress"] for step in steps] == [0.5, 1, 1]
    assert steps[-1]["label"] == "2 scenes are made"
    assert _requests(ctx, "open_dataset") == [{"dataset": new_name}]
    assert len(fo.load_dataset(new_name)) == 2


@pytest.mark.parametrize(
    "params, message",
    [
        ({"scales": "big"}, "Scales must be numbers"),
        ({"scales": "3"}, "scale must be in"),
        ({"low": 5, "high": 2}, "Objects must be"),
        ({"size": 9000}, "4096"),
    ],
)
def test_the_scene_form_says_what_cannot_work(create, new_name, params, message):
    ctx = _context(CREATE, name=new_name, **params)
    assert message in _problems(create, ctx)[0]


def test_the_scene_form_says_that_a_name_is_taken(create, dataset):
    assert "exists" in _problems(create, _context(CREATE, name=dataset.name))[0]


def test_loading_the_plugin_does_not_load_torch(bare_python):
    code = (
        "import sys, fiftyone.operators as foo;"
        f"assert foo.get_operator({COMPUTE!r});"
        "assert 'torch' not in sys.modules, 'slow'"
    )
    done = bare_python(code)
    assert done.returncode == 0, done.stderr


def test_the_form_says_what_is_not_installed(compute, dataset, monkeypatch):
    package = type(compute).__module__.rpartition(".")[0]
    monkeypatch.setitem(sys.modules, f"{package}.compute_form", None)
    (problem,) = _problems(compute, _context(COMPUTE, dataset))
    assert "fiftyone plugins requirements" in problem
