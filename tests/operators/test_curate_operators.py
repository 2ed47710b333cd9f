"""Classes, tags, rare things, duplicates, outliers and a map from an index."""

import json

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor
from PIL import Image, ImageEnhance

from detail_embed.fiftyone_bridge.compute import compute_index, embeddings_map
from detail_embed.fiftyone_bridge.curate import (
    classify as classification,
)
from detail_embed.fiftyone_bridge.curate import long_tail, near_duplicates, outliers
from detail_embed.fiftyone_bridge.evaluate import labels as labels_of
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.texts.score_summary import standardise
from tests.forms import problems_of

PREFIX = "@detail/detail-embed/"
KEYS = ("detail", "few")
BACKBONE = {"backbone": "detail-demo", "device": "cpu"}


@pytest.fixture(scope="module")
def curated(scenes, tmp_path_factory):
    """24 scenes, two near copies, noise, and a file that is no image: two indexes."""
    folder = tmp_path_factory.mktemp("more")
    dataset = load_clver_ds(scenes)
    first = dataset.first().filepath
    for number, light in enumerate((0.97, 1.03)):
        bright = ImageEnhance.Brightness(Image.open(first)).enhance(light)
        bright.save(folder / f"copy{number}.jpg", quality=90)
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    (folder / "broken.jpg").write_text("no image")
    names = ("copy0.jpg", "copy1.jpg", "noise.png", "broken.jpg")
    dataset.add_samples([fo.Sample(str(folder / name), tags=[name]) for name in names])
    compute_index.compute(
        Index(dataset, "detail"),
        dataset,
        Settings(cover=3, fuser="mean", **BACKBONE, keep_features=False),
    ).finish()
    compute_index.compute(
        Index(dataset, "few"), dataset, Settings(
            cover=3, vectors=8, **BACKBONE, fuser="gmp", keep_features=False
        )
    ).finish()
    yield dataset
    dataset.delete()


@pytest.fixture(autouse=True)
def clean(curated):
    """Takes away what a test has written."""
    yield
    curated.untag_samples(["hit", "cube"])
    for key in curated.list_brain_runs():
        if key not in KEYS:
            curated.delete_brain_run(key)
    for field in ("prompt_label", "labels"):
        if curated.has_field(field):
            curated.delete_sample_field(field)


@pytest.fixture(scope="module")
def shown(curated):
    """``{class: ids of the images that show it}``, the commonest class first."""
    found = {}
    labels = curated.values("ground_truth.detections.label")
    for id, some in zip(curated.values("id"), labels):
        for label in some or []:
            found.setdefault(label, set()).add(id)
    return dict(sorted(found.items(), key=lambda kv: (-len(kv[1]), kv[0])))


def operator(name):
    return foo.get_operator(PREFIX + name)


def context(name, dataset, view=None, **params):
    request = {
        "dataset_name": dataset.name,
        "view": (dataset.view() if view is None else view)._serialize(),
        "params": params,
        "filters": {},  # as the App asks
    }
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=PREFIX + name
    )


def problems(name, ctx):
    form = operator(name).resolve_input(ctx)
    assert form.to_json()
    return problems_of(form)


def inputs(name, ctx):
    return operator(name).resolve_input(ctx).type.properties


def in_app(name, ctx):
    """Runs in the App; returns what it was asked to do, by name."""
    for _ in operator(name).execute(ctx):
        pass
    requests = {}
    for request in ctx.executor._requests:
        assert json.dumps(request.params, default=str, allow_nan=False)
        requests[request.operator_uri] = request.params
    return requests


def answers(dataset, key):
    """Of text search, and the vectors that it is of, as this process has them."""
    view = dataset.sort_by_similarity("red metal cube", brain_key=key, k=60)
    vectors = dataset.load_brain_results(key).get_embeddings()[0]
    return view.values("id"), vectors.tolist()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.slow
def test_classes_are_those_that_are_shown(curated, shown, key):
    names = list(shown)[:8]
    result = operator("classify_by_prompts")(curated, names, key)
    assert (result.images, result.without) == (27, 1)
    assert list(result.counts) == names and sum(result.counts.values()) == 27
    labelled = curated.exists("prompt_label")
    assert curated.exists("prompt_label", False).values("tags") == [["broken.jpg"]]
    labels = dict(zip(*labelled.values(["id", "prompt_label.label"])))
    some = set().union(*(shown[name] for name in names))
    right = np.mean([id in shown[labels[id]] for id in some])
    chance = np.mean([len(shown[name] & some) / len(some) for name in names])
    assert right > 2.5 * chance
    assert all(0 < c <= 1 for c in labelled.values("prompt_label.confidence"))
    cold = operator("classify_by_prompts")(
        curated, names, key, temperature=1e-4, overwrite=True
    )
    assert cold.counts == result.counts
    assert curated.mean("prompt_label.confidence") > 0.9


def test_none_of_these_is_where_no_label_stands_out(curated, shown):
    names = list(shown)[:6]
    result = operator("classify_by_prompts")(
        curated, names, "few", none_label="none", threshold=1.5
    )
    assert list(result.counts) == [*names, "none"]
    assert 0 < result.counts["none"] < result.images
    several = operator("classify_by_prompts")(
        curated, names, "few", field="labels", threshold=1.5, multi=True
    )
    both = curated.exists("prompt_label")
    path = "labels.classifications"
    for one, many, z in zip(
        *both.values(["prompt_label.label", f"{path}.label", f"{path}.z_score"])
    ):
        assert (one == "none") == (many == [])
        assert one == "none" or one == many[0]
        assert z == sorted(z, reverse=True) and all(value >= 1.5 for value in z)
    assert several.counts[names[0]] == curated.count_values(f"{path}.label").get(
        names[0], 0
    )
    schema = curated.get_field_schema(flat=True)
    assert isinstance(schema[f"{path}.z_score"], fo.FloatField)


def test_several_wordings_are_one_label(curated):
    classify = operator("classify_by_prompts")
    one = ["cube: red metal cube, blue metal cube", "sphere"]
    result = classify(curated, one)
    assert set(result.counts) == {"cube", "sphere"}
    vectors = curated.exists("detail_embedding").values("detail_embedding")
    texts = Settings(
        cover=3, fuser="mean", **BACKBONE, keep_features=False
    ).load_backbone()
    from detail_embed.texts.templates import encode_queries

    t = encode_queries(texts, ["red metal cube", "blue metal cube", "sphere"]).numpy()
    cube = (t[0] + t[1]) / np.linalg.norm(t[0] + t[1])
    scores = np.stack(vectors) @ np.stack([cube, t[2]], 1)
    expected = np.exp(scores / 0.01) / np.exp(scores / 0.01).sum(1, keepdims=True)
    found = curated.exists("prompt_label").values("prompt_label.confidence")
    np.testing.assert_allclose(found, expected.max(1), rtol=1e-3)


def test_a_view_is_classified_as_the_whole_is(curated, shown):
    names, view = list(shown)[:4], curated[3:9]
    options = {"none_label": "none", "threshold": 1.0}
    classify = operator("classify_by_prompts")
    classify(curated, names, field="labels", **options)
    result = classify(view, names, **options)
    assert result.images == 6 and curated.count("prompt_label") == 6
    assert view.values("prompt_label.label") == view.values("labels.label")
    with pytest.raises(ValueError, match="has labels for 6 of these.*overwrite=True"):
        classify(curated, names)
    assert classify(curated[9:12], names).images == 3
    assert curated.count("prompt_label") == 9


def test_the_form_and_the_table_of_classes(curated, shown):
    name, labels = "classify_by_prompts", "\n".join(list(shown)[:3])
    assert problems(name, context(name, curated)) == []
    ctx = context(name, curated, labels=labels)
    assert problems(name, ctx) == [] and "threshold" not in inputs(name, ctx)
    assert inputs(name, ctx)["brain_key"].type.values == list(KEYS)
    ctx.params["none_of_these"] = True
    assert "threshold" in inputs(name, ctx) and problems(name, ctx) == []
    requests = in_app(name, ctx)
    text = requests["show_output"]["results"]["summary"]
    counts = curated.count_values("prompt_label.label")
    for label in [*labels.splitlines(), "none"]:
        assert f"| `{label}` | {counts.get(label, 0)} |" in text
    assert "without a vector: 1" in text and "reload_dataset" in requests
    assert "switch on 'Replace the labels of the field'" in problems(name, ctx)[0]
    ctx.params["overwrite"] = True
    assert problems(name, ctx) == [] and "overwrite" in inputs(name, ctx)
    ctx.params["labels"] = "a: "
    assert "A prompt is missing" in problems(name, ctx)[0]


def test_a_form_without_an_index(dataset):
    for name in ("classify_by_prompts", "report_long_tail", "find_near_duplicates",
                 "find_outliers", "map_embeddings"):
        (problem,) = problems(name, context(name, dataset))
        assert "use 'Compute detail embeddings'" in problem
    ctx = context("tag_hits", dataset, tag="hit", query="cube")
    assert "use 'Compute detail embeddings'" in problems("tag_hits", ctx)[0]


def test_a_delegated_classification(curated, shown):
    labels = list(shown)[:3]
    queued = operator("classify_by_prompts")(curated[:4], labels, delegate=True)
    service = DelegatedOperationService()
    service.execute_queued_operations(log=False)
    summary = service.get(queued.result["id"]).result.result["summary"]
    assert summary.startswith("4 images were classified")
    assert curated.count("prompt_label") == 4


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": ["cube"]}, "with one label, every image gets it"),
        ({"labels": []}, "there is no label"),
        ({"brain_key": "nope"}, "unknown brain key 'nope'.*'detail'"),
        ({"field": "ground_truth"}, "'ground_truth' exists and is not of Classific"),
        ({"field": "tags"}, "'tags' exists"),
        ({"field": "two words"}, "field 'two words': use letters"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"none_label": "cube"}, "'cube' is one of the labels"),
        ({"none_label": " "}, "none_label must be a name"),
        ({"none_label": "none", "multi": True}, "exclude each other"),
        ({"threshold": float("nan")}, "threshold must be a z-score"),
    ],
)
def test_bad_classes(curated, change, message):
    with pytest.raises(ValueError, match=message):
        operator("classify_by_prompts")(
            curated, **({"labels": ["cube", "sphere"]} | change)
        )
    assert not curated.has_field("prompt_label")


@pytest.mark.parametrize("key", KEYS)
def test_the_long_tail_is_what_the_index_scores(curated, shown, key):
    bank = [*list(shown)[:6], "red | blue"]
    result = operator("report_long_tail")(curated, [*bank, bank[0]], key, 1.5)
    assert sorted(row.prompt for row in result.rows) == sorted(bank)
    assert [row.count for row in result.rows] == sorted(r.count for r in result.rows)
    assert (result.images, result.without) == (27, 1)
    for row in result.rows:
        view = long_tail.view(Index.of(curated, key), curated, row.prompt, 1.5)
        assert len(view) == row.count
        nearest = curated.sort_by_similarity(row.prompt, brain_key=key, k=60)
        assert nearest.first().id == row.best_id
        assert view.values("id") == nearest.values("id")[: row.count]
    in_view = operator("report_long_tail")(curated[:5], bank, key, 1.5)
    assert all(row.best_id in curated[:5].values("id") for row in in_view.rows)
    assert sum(r.count for r in in_view.rows) <= sum(r.count for r in result.rows)


def test_the_table_of_the_long_tail(curated):
    name = "report_long_tail"
    ctx = context(name, curated, prompts="cube\n\nred | blue\n", threshold=2.5)
    assert problems(name, ctx) == []
    text = in_app(name, ctx)["show_output"]["results"]["summary"]
    assert "at least 2.5" in text and "| red \\| blue |" in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 4
    ctx.params["threshold"] = "high"
    assert "Threshold must be a z-score" in problems(name, ctx)[0]
    with pytest.raises(ValueError, match="there is no prompt"):
        operator(name)(curated, "\n \n")
    with pytest.raises(TypeError, match="must be a string, not 3"):
        operator(name)(curated, ["cube", 3])


@pytest.mark.parametrize("key", KEYS)
def test_near_duplicates_are_side_by_side_and_search_stays(curated, key):
    before = answers(curated, key)
    result = operator("find_near_duplicates")(curated, key)
    copies = curated.match_tags(["copy0.jpg", "copy1.jpg"]).values("id")
    first = curated.first().id
    assert list(result.groups) == [first] and result.duplicates == 2
    assert {id for id, _ in result.groups[first]} == set(copies)
    assert all(0 <= distance <= 0.1 for _, distance in result.groups[first])
    assert result.view.values("id") == [first, *(id for id, _ in result.groups[first])]
    assert (result.images, result.without) == (27, 1)
    assert answers(curated, key) == before
    assert operator("find_near_duplicates")(curated[1:20], key).groups == {}


def test_grades_say_what_could_go_and_the_best_file_stays(curated):
    copies = curated.match_tags(["copy0.jpg", "copy1.jpg"])
    result = operator("find_near_duplicates")(curated, tag="hit")
    field, first = result.field, curated.first()
    labels = curated.match_tags("hit").values(f"{field}.label")
    assert set(labels) <= {"same", "close"} and len(labels) == 2
    assert curated[first.id][field].label == "kept"  # the larger of equal sizes
    assert curated.match_tags("hit").values(f"{field}.kept") == [first.id] * 2
    assert sum(len(g) for grade in result.grades.values() for g in grade.values()) == 2
    assert {grade for grade, groups in result.grades.items() if groups} == set(labels)
    assert field not in labels_of.label_fields(curated) and len(curated) == 28
    sizes = {copies.first().id: 512, copies.last().id: 1024, first.id: 8}
    for id, side in sizes.items():
        curated[id].metadata = fo.ImageMetadata(width=side, height=side, size_bytes=9)
        curated[id].save()
    assert list(operator("find_near_duplicates")(curated).groups) == [copies.last().id]
    nothing = operator("find_near_duplicates")(curated[1:20])
    assert nothing.groups == {} and not curated.exists(field).count()
    curated.clear_sample_field("metadata")
    curated.delete_sample_field(field)
    curated.add_sample_field(field, fo.StringField)
    with pytest.raises(ValueError, match="'detail_duplicate' exists and does not"):
        operator("find_near_duplicates")(curated)
    curated.delete_sample_field(field)
    with pytest.raises(ValueError, match="tag=' ': give a word"):
        operator("find_near_duplicates")(curated, tag=" ")


def test_outliers_are_sorted_and_search_stays(curated):
    before = answers(curated, "detail")
    result = operator("find_outliers")(curated, count=7)
    far = result.view.values(result.field)
    assert result.field == "detail_uniqueness"
    assert len(far) == 7 and far == sorted(far, reverse=True) and far[0] == 1
    assert result.view.first().tags == ["noise.png"]
    assert curated.count(result.field) == 27
    assert answers(curated, "detail") == before
    again = operator("find_outliers")(curated[:10])
    assert curated.count(again.field) == len(again.view) == 10
    with pytest.raises(ValueError, match="3 of these images.*5 are needed"):
        operator("find_outliers")(curated[:3])


def test_a_field_that_is_not_ours_is_kept(curated):
    curated.add_sample_field("detail_uniqueness", fo.FloatField)
    try:
        with pytest.raises(ValueError, match="'detail_uniqueness' exists"):
            operator("find_outliers")(curated)
    finally:
        curated.delete_sample_field("detail_uniqueness")


@pytest.mark.parametrize("key", KEYS)
def test_a_map_has_a_point_for_each_image(curated, key):
    before = answers(curated, key)
    result = operator("map_embeddings")(curated, key, method="pca")
    assert (result.brain_key, result.method) == (f"{key}_map", "pca")
    found = curated.load_brain_results(result.brain_key)
    assert found.points.shape == (27, 2) and np.isfinite(found.points).all()
    held = [s.id for s in curated if "broken.jpg" not in s.tags]
    assert list(found.sample_ids) == held
    assert answers(curated, key) == before
    if key == "detail":  # a PCA is replaced, what takes time is not
        assert operator("map_embeddings")(curated, key).method == "umap"
        with pytest.raises(ValueError, match=f"the map '{key}_map' exists"):
            operator("map_embeddings")(curated, key)
    few = operator("map_embeddings")(curated[:8], key, overwrite=True)
    assert few.method == "pca" and "8 images are too few for UMAP" in few.notice
    assert curated.load_brain_results(few.brain_key).points.shape == (8, 2)


def test_what_the_app_shows(curated):
    requests = in_app("find_near_duplicates", context("find_near_duplicates", curated))
    assert "Near duplicates: 2, each after" in requests["notify"]["message"]
    assert len(requests["set_view"]["view"]) == 1
    ctx = context("find_near_duplicates", curated, threshold=0)
    requests = in_app("find_near_duplicates", ctx)
    assert "set_view" not in requests
    assert "No near duplicates" in requests["notify"]["message"]
    requests = in_app("find_outliers", context("find_outliers", curated, count=3))
    assert {"reload_dataset", "set_view"} <= set(requests)
    assert requests["set_progress"]["progress"] == 1
    assert requests["set_progress"]["label"] == requests["notify"]["message"]
    view = curated[:9]
    ctx = context("map_embeddings", curated, view)
    assert problems("map_embeddings", ctx) == []
    requests = in_app("map_embeddings", ctx)
    assert requests["open_panel"]["name"] == "Embeddings"
    assert requests["open_panel"]["state"] == {"brainResult": "detail_map"}
    assert "too few for UMAP" in requests["notify"]["message"]
    assert problems("map_embeddings", ctx) == []  # a PCA is replaced


@pytest.mark.parametrize("key", KEYS)
def test_hits_are_tagged_and_untagged(curated, key):
    tag = operator("tag_hits")
    query = "red metal cube, -blue metal cube"
    result = tag(curated, query, key, 1.0, "cube")
    hits = curated.match_tags("cube")
    assert 0 < len(hits) == result.hits == result.changed and result.without == 1
    again = tag(curated, query, key, 1.0, "cube")
    assert (again.hits, again.changed) == (result.hits, 0)
    rarer = tag(curated, query, key, 2.0, "cube", untag=True)
    assert rarer.changed == rarer.hits < result.hits
    assert len(curated.match_tags("cube")) == result.hits - rarer.hits


def test_the_hits_of_a_query_of_vectors(curated):
    """Against the vectors themselves: weights and z-scores mean what they say."""
    from detail_embed.texts.templates import encode_queries

    backbone = Settings(
        cover=3, fuser="mean", **BACKBONE, keep_features=False
    ).load_backbone()
    red, blue = encode_queries(backbone, ["red cube", "blue cube"]).numpy()
    held = curated.exists("detail_embedding")
    z = standardise(np.stack(held.values("detail_embedding")) @ (2 * red - blue))
    expected = {id for id, value in zip(held.values("id"), z) if value >= 1}
    operator("tag_hits")(curated, "2 * red cube, -blue cube", threshold=1)
    assert set(curated.match_tags("hit").values("id")) == expected


def test_a_view_is_tagged(curated):
    view = curated[2:5]
    ctx = context("tag_hits", curated, view, tag=" hit ")
    properties = inputs("tag_hits", ctx)
    assert problems("tag_hits", ctx) == [] and "threshold" not in properties
    assert "3 images" in properties["query"].view.description
    assert operator("tag_hits").execute(ctx) == {"hits": 3, "changed": 3}
    assert curated.match_tags("hit").values("id") == view.values("id")
    ctx.params.update(query="cube, -", threshold=2)
    assert "A prompt is missing here" in problems("tag_hits", ctx)[0]
    ctx.params.update(query="cube", untag=True, threshold=-9)
    assert operator("tag_hits").execute(ctx) == {"hits": 3, "changed": 3}
    assert not curated.match_tags("hit")
    with pytest.raises(ValueError, match="type a tag"):
        operator("tag_hits")(curated, tag=" ")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda d: near_duplicates.find_near_duplicates(
            Index.of(d, "detail"), d, threshold=3
        ), "from 0 to 2"),
        (lambda d: near_duplicates.find_near_duplicates(
            Index.of(d, "no"), d
        ), "no similarity index"),
        (lambda d: outliers.find_outliers(
            Index.of(d, "detail"), d, count=0
        ), "count must be a whole"),
        (lambda d: embeddings_map.map_embeddings(
            Index.of(d, "detail"), d, method="cube"
        ), "umap, tsne, pca"),
        (lambda d: classification.classify(
            Index.of(d[:0], "detail"), d[:0], ["a", "b"]
        ), "no samples"),
    ],
)
def test_what_cannot_work_is_said_before_the_run(curated, call, message):
    with pytest.raises(ValueError, match=message):
        call(curated)
