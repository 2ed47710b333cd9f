"""FiftyOne's private names stand in one package, whose functions do what they say."""

import ast
from pathlib import Path

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

from detail_embed.fiftyone_bridge.samples import private_names

ROOT = Path(__file__).parents[3]
GATEWAY = ROOT / "detail_embed/fiftyone_bridge/samples"
SOURCES = [
    path
    for folder in ("detail_embed", "operators")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if GATEWAY not in path.parents
]


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def foreign_names(source: str) -> list[str]:
    """The private names of others that a module uses, as ``line: name``.

    What a module defines itself is its own, on whatever object it uses it.
    """
    nodes = list(ast.walk(ast.parse(source)))
    own = {
        node.name
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }
    own |= {
        node.target.id
        for node in nodes
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own |= {
        node.attr
        for node in attributes
        if is_self(node.value) and isinstance(node.ctx, ast.Store)
    }
    foreign = [
        (node.lineno, node.attr)
        for node in attributes
        if not is_self(node.value) and node.attr not in own
    ]
    foreign += [
        (node.lineno, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        and str(node.module).split(".")[0] == "fiftyone"
        for alias in node.names
    ]
    return [
        f"{line}: {name}"
        for line, name in sorted(foreign)
        if name.startswith("_") and not name.startswith("__")
    ]


def test_no_other_module_uses_a_private_name_of_another():
    found = {
        str(path.relative_to(ROOT)): names
        for path in SOURCES
        if (names := foreign_names(path.read_text("utf-8")))
    }
    assert len(SOURCES) > 100
    assert not found


@pytest.mark.parametrize(
    "source, found",
    [
        ("def f(view):\n    return view._serialize()", ["2: _serialize"]),
        ("a = samples._dataset._doc.id", ["1: _dataset", "1: _doc"]),
        ("from fiftyone.core.labels import _HasID", ["1: _HasID"]),
        ("class A:\n    def f(self):\n        return self._a", []),
        ("class A:\n    def f(self):\n        return self.b._c", ["3: _c"]),
        ("class A:\n    def _f(self, other):\n        return other._f()", []),
        ("class A:\n    def f(self, b):\n        self._c = b._c", []),
        ("a = b.__class__.__name__", []),
    ],
)
def test_finds_what_is_foreign(source, found):
    assert foreign_names(source) == found


@pytest.fixture
def dataset():
    dataset = fo.Dataset()
    dataset.add_samples(
        fo.Sample(
            f"/{i}.png",
            vector=np.eye(3, dtype=np.float32)[i],
            things=fo.Detections(
                detections=[fo.Detection(label="cat", bounding_box=[0, 0, 1, 1])]
            ),
            kind=fo.Classification(label="cat"),
        )
        for i in range(3)
    )
    yield dataset
    dataset.delete()


def test_a_view_knows_its_dataset(dataset):
    view = dataset.limit(2)
    assert private_names.dataset_of(view) is dataset
    assert private_names.dataset_of(dataset) is dataset
    assert private_names.dataset_of(dataset.to_patches("things")) is dataset
    assert not private_names.is_generated(view)
    assert private_names.is_generated(dataset.to_patches("things"))


def test_a_dataset_keeps_its_id_under_another_name(dataset):
    before = private_names.dataset_id(dataset)
    dataset.name = f"{dataset.name}-renamed"
    assert private_names.dataset_id(dataset) == before


def test_a_brain_run_has_another_id_when_it_is_computed_anew(dataset):
    assert private_names.brain_run_id(dataset, "near") is None
    ids = set()
    for _ in range(2):
        fob.compute_similarity(dataset, embeddings="vector", brain_key="near")
        dataset.load_brain_results("near").save()
        ids.add(private_names.brain_run_id(dataset, "near"))
        assert private_names.brain_run_id(fo.load_dataset(dataset.name), "near") in ids
        dataset.delete_brain_run("near")
    assert len(ids) == 2 and None not in ids


def test_what_another_process_does_to_fields_is_seen(dataset):
    assert "vector" in private_names.stored_fields(dataset)
    fields = {"sample_fields": {"name": "vector"}}
    fo.core.odm.get_db_conn().datasets.update_one(
        {"_id": private_names.dataset_id(dataset)}, {"$pull": fields}
    )
    assert "vector" not in private_names.stored_fields(dataset)


def test_views_are_made_again_of_their_stages(dataset):
    view = dataset.skip(1).limit(1)
    again = private_names.view_of(dataset, private_names.serialized(view))
    assert again == view
    assert again.values("id") == view.values("id")


def test_a_pipeline_makes_the_samples_of_a_view(dataset):
    view = dataset.skip(1)
    found = private_names.sample_documents(dataset).aggregate(
        private_names.pipeline(view)
    )
    assert [str(document["_id"]) for document in found] == view.values("id")


def test_paths_of_labels(dataset):
    assert private_names.label_type(dataset, "things") is fo.Detections
    assert private_names.label_path(dataset, "things") == "things.detections"
    assert private_names.label_path(dataset, "kind", "label") == "kind.label"
    with pytest.raises(ValueError, match="filepath"):
        private_names.label_path(dataset, "filepath")


def test_a_brain_run_has_results_that_are_forgotten(dataset):
    import fiftyone.brain as fob

    index = fob.compute_similarity(dataset, embeddings="vector", brain_key="near")
    assert private_names.has_results(dataset, "near")
    with pytest.raises(ValueError, match="far"):
        private_names.has_results(dataset, "far")
    assert dataset.load_brain_results("near") is index
    private_names.forget_results(dataset, "near")
    assert dataset.load_brain_results("near") is not index


def test_nearest_is_what_a_search_finds(dataset):
    import fiftyone.brain as fob

    index = fob.compute_similarity(dataset, embeddings="vector", brain_key="near")
    vector = np.array([0.1, 0.7, 0.4], np.float32)
    found = private_names.nearest(index, vector, 2)
    assert found == index.sort_by_similarity(vector, k=2).values("id")
