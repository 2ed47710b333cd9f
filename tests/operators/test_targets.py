"""After a search a form is for the whole dataset, unless a person picks the view."""

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import Executor

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from tests.forms import problems_of

PREFIX = "@detail/detail-embed/"
SETTINGS = Settings(backbone=DEMO, cover=2, vectors=2, keep_features="int8")
PARAMS = {
    "compute_detail_embeddings": {"backbone": DEMO},
    "update_index": {},
    "export_vectors": {"brain_key": "detail"},
    "import_vectors": {},
    "evaluate_retrieval": {"label_field": "ground_truth"},
    "classify_by_prompts": {"labels": "cube\nball"},
    "report_long_tail": {"prompts": "cube"},
    "find_near_duplicates": {},
    "find_outliers": {},
    "map_embeddings": {},
    "select_diverse_subset": {"n": 3},
    "tag_hits": {"tag": "seen"},
    "train_fuser": {"name": "drones", "backbone": DEMO},
    "search_by_prompts": {"text": "cube"},
    "search_reranked": {"text": "cube"},
}


@pytest.fixture(scope="module")
def indexed(scenes, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        dataset = load_clver_ds(scenes)
        index = Index(dataset, "detail")
        compute_index.compute(index, dataset, SETTINGS).finish()
        yield dataset
        dataset.delete()


@pytest.fixture(scope="module")
def answer(indexed):
    return DetailIndex(indexed, "detail").search("red metal cube", k=5)


def _context(name, dataset, view, picked=None, /, **params):
    request = {
        "filters": {},  # as the App asks
        "dataset_name": dataset.name, "view": view._serialize(), "params": params,
        **({"view_target": picked} if picked else {}),
    }
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=PREFIX + name
    )


@pytest.fixture
def seen(monkeypatch):
    """How many samples a form was for."""
    found = []

    def spy(name):
        kind = type(foo.get_operator(PREFIX + name))
        add_inputs = kind.add_inputs

        def noted(self, ctx, inputs, samples):
            found.append(len(samples))
            add_inputs(self, ctx, inputs, samples)

        monkeypatch.setattr(kind, "add_inputs", noted)
        return found

    return spy


def _resolved(name, ctx):
    form = foo.get_operator(PREFIX + name).resolve_type(ctx, "inputs")
    assert form.to_json()
    return form


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.slow
def test_forms_are_for_the_whole_dataset(name, indexed, answer, seen):
    found = seen(name)
    view = answer.view
    ctx = _context(name, indexed, view, **PARAMS[name])
    target = _resolved(name, ctx).type.properties["view_target"]
    assert target.default == "DATASET" and "CURRENT_VIEW" in target.type.values
    _resolved(name, _context(name, indexed, view, "CURRENT_VIEW", **PARAMS[name]))
    ctx = _context(name, indexed, answer.patches(), **PARAMS[name])
    assert _resolved(name, ctx).type.properties["view_target"].default == "DATASET"
    assert found == [24, 5, 24]


def test_a_view_that_a_person_made_is_meant(indexed, seen):
    found = seen("export_vectors")
    ctx = _context("export_vectors", indexed, indexed.limit(7), brain_key="detail")
    form = _resolved("export_vectors", ctx)
    assert form.type.properties["view_target"].default == "CURRENT_VIEW"
    assert found == [7]


def test_show_where_is_for_the_hits(indexed, answer, seen):
    found = seen("show_where")
    ctx = _context("show_where", indexed, answer.view, text="cube")
    form = _resolved("show_where", ctx)
    assert form.type.properties["view_target"].default == "CURRENT_VIEW"
    assert problems_of(form) == [] and found == [5]


def test_an_export_after_a_search_has_all_vectors(indexed, answer, tmp_path):
    path = str(tmp_path / "vectors.parquet")
    params = {"brain_key": "detail", "path": path}
    ctx = _context("export_vectors", indexed, answer.view, **params)
    form = _resolved("export_vectors", ctx)
    sent = form.type.properties["view_target"].default  # as the App fills it in
    ctx = _context("export_vectors", indexed, answer.view, sent, **params)
    list(foo.get_operator(PREFIX + "export_vectors").execute(ctx))
    import pyarrow.parquet as pq

    assert len(set(pq.read_table(path)["id"].to_pylist())) == 24


def test_python_means_the_view_that_it_gives(indexed, answer):
    tag = foo.get_operator(PREFIX + "tag_hits")
    assert tag(answer.view, tag="seen").hits == 5
    assert len(fo.load_dataset(indexed.name).match_tags("seen")) == 5


ODD_VIEWS = {
    "grouped": (lambda dataset: dataset.group_by("background"), ""),
    "grouped, flat": (lambda dataset: dataset.group_by("background", flat=True), ""),
    "empty": (lambda dataset: dataset.limit(0), "has no samples"),
    "patches": (lambda dataset: dataset.to_patches("ground_truth"), ""),
    "no fields": (lambda dataset: dataset.select_fields(), ""),
    "one field": (lambda dataset: dataset.exclude_fields("ground_truth"), ""),
    "sorted": (lambda dataset: dataset.sort_by("background"), ""),
    "selected": (lambda dataset: dataset.select(dataset.limit(20).values("id")), ""),
}


@pytest.mark.parametrize("kind", ODD_VIEWS)
@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.slow
def test_a_form_for_any_view_works_or_says_why_not(name, kind, indexed):
    make, reason = ODD_VIEWS[kind]
    ctx = _context(name, indexed, make(indexed), "CURRENT_VIEW", **PARAMS[name])
    problems = " ".join(problems_of(_resolved(name, ctx)))
    if reason and name != "import_vectors":  # which waits for its file first
        assert reason in problems
    for raw in ("NoneType", "None has", "Traceback", "KeyError"):
        assert raw not in problems
