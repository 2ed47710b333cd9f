"""What comes from Python in another form than it is meant: taken, or named."""

import fiftyone.operators as foo
import numpy as np
import pytest

from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.search.compare import compare
from detail_embed.fiftyone_bridge.search.examples import Box
from detail_embed.fiftyone_bridge.where.show_where import clear_where
from tests.operators.panel.helpers import OPERATORS, SETTINGS
from tests.operators.test_empty_arguments import NEEDED

BESIDE_A_DATASET = [
    "classify_by_prompts", "compute_detail_embeddings", "delete_index",
    "evaluate_retrieval", "export_vectors", "find_mistaken_labels",
    "find_near_duplicates", "find_outliers",
    "import_vectors", "map_embeddings", "rename_index", "report_long_tail",
    "search_by_prompts", "search_reranked", "select_diverse_subset", "show_attention",
    "show_where", "tag_hits", "train_fuser", "update_index",
]
MORE = {"classes": ["a"], "path": "x.parquet"}


def operator(name):
    return foo.get_operator(f"{OPERATORS}/{name}")


@pytest.fixture(scope="module")
def shared(loaded):
    dataset = loaded.clone(persistent=True)
    DetailIndex(dataset, "detail").compute(dataset, SETTINGS)
    yield dataset
    DetailIndex(dataset, "detail").delete()
    dataset.delete()


@pytest.mark.parametrize("name", BESIDE_A_DATASET)
def test_a_name_or_paths_for_a_dataset(name, shared):
    import inspect

    call = operator(name)
    parameters = inspect.signature(call).parameters
    needed = {k: (NEEDED | MORE)[k] for k, p in parameters.items()
              if k in NEEDED | MORE and p.default is inspect.Parameter.empty}
    with pytest.raises(TypeError, match=f"fo.load_dataset\\('{shared.name}'\\)"):
        call(shared.name, **needed)
    with pytest.raises(TypeError, match="give a dataset or a view"):
        call(shared.values("filepath"), **needed)


def test_an_index_of_a_view_or_of_two_keys(shared):
    with pytest.raises(TypeError, match="an index is of a dataset, not of a view"):
        DetailIndex(shared.limit(3), "detail")
    with pytest.raises(TypeError, match="brain_key=.*one index, a text"):
        operator("update_index")(shared, ["detail"])
    with pytest.raises(TypeError, match="give Settings, or each choice"):
        DetailIndex(shared, "detail").compute(settings={"cover": 2})


@pytest.mark.parametrize("query", [["a car", "snow"], None, 7, b"a car"])
def test_a_query_that_is_no_text(shared, query):
    index = DetailIndex(shared, "detail")
    for call in (index.search, index.show_where,
                 lambda q: operator("show_where")(shared, q),
                 lambda q: compare(shared, q, ["detail", "detail_global"])):
        with pytest.raises(TypeError, match="a query must be one text, with commas"):
            call(query)
    for call in (lambda q: operator("search_reranked")(shared, q),
                 lambda q: index.tag(q or 7)):
        with pytest.raises(TypeError, match="give one text|must be a string"):
            call(query)


def test_none_is_all_images(shared):
    index = DetailIndex(shared, "detail")
    assert len(index.search("a car", k=None).ids) == len(shared)
    assert len(operator("search_by_prompts")(shared, "a car", k=None).ids) == 24
    assert len(operator("search_reranked")(shared, "a car", k=None).ids) == 24
    sides = compare(shared, "a car", iter(["detail", "detail_global"]), k=None)
    assert [len(side.ranks) for side in sides] == [24, 24]


def test_ids_in_whatever_they_come(shared):
    search, ids = operator("search_by_prompts"), shared.values("id")[:2]
    wanted = search(shared, sample_ids=ids).scores
    samples = shared.limit(2)
    for given in (tuple(ids), iter(ids), np.array(ids), samples, list(samples),
                  [sample._id for sample in samples]):
        np.testing.assert_allclose(search(shared, sample_ids=given).scores, wanted)
    one = search(shared, sample_ids=ids[0]).ids
    assert one == search(shared, sample_ids=[ids[0]]).ids
    paths = shared.values("filepath")
    for given in (paths, paths[0], iter(paths)):
        with pytest.raises(TypeError, match="sample_ids: .* is no id of a sample"):
            search(shared, sample_ids=given)


def test_boxes_and_weights(shared):
    search = operator("search_by_prompts")
    box = Box(shared.first().filepath, [0.1, 0.1, 0.5, 0.5])
    assert search(shared, boxes=box).ids == search(shared, boxes=iter([box])).ids
    with pytest.raises(TypeError, match=r"boxes: \[0.1"):
        search(shared, boxes=[[0.1, 0.1, 0.5, 0.5]])
    for weight in ("1", None, float("nan"), True):
        with pytest.raises(ValueError, match="weight="):
            search(shared, "a car", boxes=box, weight=weight)
    with pytest.raises(ValueError, match="threshold='3'"):
        search(shared, "a car", threshold="3")


def test_prompts_by_label(shared):
    classify = operator("classify_by_prompts")
    lines = classify(shared, ["a: a cube", "b: a ball, a sphere"], field="lines")
    mapping = {"a": "a cube", "b": ["a ball", "a sphere"]}
    assert classify(shared, mapping, field="by_name").counts == lines.counts
    assert shared.values("lines.confidence") == shared.values("by_name.confidence")
    for labels in (None, 7, {"a": [1], "b": "x"}, {"a": ["x, y"], "b": "x"}):
        with pytest.raises(TypeError, match="labels"):
            classify(shared, labels, field="never")
    with pytest.raises(TypeError, match="prompts=7"):
        operator("report_long_tail")(shared, 7)
    assert not shared.has_field("never")


def test_numbers_of_numpy(shared):
    index = DetailIndex(shared, "detail")
    assert len(index.search("a car", k=np.int64(3), threshold=None).ids) == 3
    assert index.show_where("a car", shared.limit(1), max_boxes=np.int32(1)).images == 1
    assert len(operator("find_outliers")(shared, count=np.int64(2)).view) == 2
    assert operator("find_near_duplicates")(shared, threshold=np.float32(0.1)).images
    measured = operator("evaluate_retrieval")(
        shared, "detail", "ground_truth", ks=np.int64(5))
    assert "recall_5" in measured.metrics
    made = operator("compute_detail_embeddings")(
        shared, backbone=SETTINGS.backbone, cover=np.int64(2), vectors=np.int64(1),
        fuser="mean", batch_size=np.int64(8), num_workers=np.int32(1),
        max_pixels=np.int64(10**6), keep_features=False, brain_key="numpy")
    assert made["embedded"] == 24
    DetailIndex(shared, "numpy").delete()
    clear_where(shared.limit(1))
    assert not shared.has_field("detail_heatmap")


def test_other_arguments_are_named(shared, tmp_path):
    train, create = operator("train_fuser"), operator("create_clver_ds")
    for name, call in [
        ("minutes", lambda: train(shared, "x", minutes="3")),
        ("backbone", lambda: operator("compute_detail_embeddings")(
            shared, backbone=["a"])),
        ("n='2'", lambda: create("odd", directory=tmp_path, n="2")),
        ("objects=3", lambda: create("odd", directory=tmp_path, objects=3)),
        ("scales", lambda: create("odd", directory=tmp_path, scales=0.1)),
    ]:
        with pytest.raises(ValueError, match=name):
            call()
    with pytest.raises(TypeError, match="one trained fuser"):
        operator("manage_fusers")(delete=["x"])
    with pytest.raises(ValueError, match=r"brain_keys: .* \['detail'\]"):
        compare(shared, "a car", "detail")
