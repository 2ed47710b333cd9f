"""Labels that show where images match, from Python and from the App."""

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import Executor

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.where import show_where as where
from detail_embed.fiftyone_bridge.where.show_where import clear_where, show_where
from tests.forms import problems_of

URI = "@detail/detail-embed/show_where"
FIELDS = ["detail_where", "detail_heatmap"]


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))


@pytest.fixture
def operator():
    return foo.get_operator(URI)


@pytest.fixture
def no_encoding(monkeypatch):
    """Call it where patches are stored and must not be encoded again."""

    def fail(*args, **kwargs):
        raise AssertionError("patches are stored and not to be encoded again")

    return lambda: monkeypatch.setattr(Backbone, "encode_patches", fail)


@pytest.fixture(scope="session")
def classes(scenes):
    """Two classes, shown by the most images."""
    from detail_embed.clver_ds import read_queries

    queries = read_queries(scenes)
    order = np.argsort(-(queries.target_scale > 0).sum(axis=1), kind="stable")
    return [queries.words[i] for i in order[:2]]


def compute(dataset, brain_key="detail", cover=2, fuser="mean", **settings):
    kept = {"keep_features": False} | settings
    settings = Settings(backbone=DEMO, cover=cover, fuser=fuser, device="cpu", **kept)
    index = Index.of(dataset, brain_key)
    compute_index.compute(index, dataset, settings, also_global=False).finish()


def context(dataset, current_sample=None, **params):
    request = {
        "dataset_name": dataset.name,
        "params": params,
        "current_sample": current_sample,
        "active_fields": ["ground_truth", "detail_where"],
        "filters": {},  # as the App asks
    }
    return foo.ExecutionContext(
        request_params=request, executor=Executor(), operator_uri=URI
    )


def problems(operator, ctx):
    return problems_of(operator.resolve_input(ctx))


def requests(ctx, name):
    return [r.params for r in ctx.executor._requests if r.operator_uri == name]


def hits(samples, word):
    """Of the objects of a class, whether the best box of their image holds each."""
    found = []
    for sample in samples:
        left, top, width, height = sample.detail_where.detections[0].bounding_box
        for thing in sample.ground_truth.detections:
            x, y, w, h = thing.bounding_box
            if thing.label == word:
                x, y = x + w / 2, y + h / 2
                found.append(left <= x <= left + width and top <= y <= top + height)
    return found


def test_stored_features_show_where(dataset, classes, no_encoding):
    compute(dataset, cover=4, keep_features="float16")
    word = classes[0]
    shown = dataset.match(fo.ViewField("ground_truth.detections.label").contains(word))
    no_encoding()
    run = show_where(Index.of(shown, "detail"), shown, word)
    texts = [step.text for step in run]
    assert texts[0] == "Loading the model"
    assert f"{len(shown)} of {len(shown)} images" in texts[-1]
    result = run.result
    assert (result.field, result.heatmap_field) == tuple(FIELDS)
    assert (result.images, result.failed) == (len(shown), {})
    assert result.boxes == shown.count("detail_where.detections")
    assert [dataset.count(field) for field in FIELDS] == [len(shown)] * 2
    assert np.mean(hits(shown, word)) >= 0.7
    for sample in shown:
        boxes = sample.detail_where.detections
        assert 1 <= len(boxes) <= 3 and {box.label for box in boxes} == {word}
        scores = [box.score for box in boxes]
        assert scores == sorted(scores, reverse=True)
        assert [box.confidence for box in boxes] == np.clip(scores, 0, 1).tolist()
        heat = sample.detail_heatmap
        assert heat.map.shape == (64, 64) and heat.map.max() == 1
        assert heat.range == [0, 1]
    assert dataset.has_field("detail_where.detections.score")  # to filter by


def test_without_stored_features_images_are_encoded(dataset, classes):
    compute(dataset[:6])
    stored, encoded = dataset[:3], dataset[:3]
    show_where(Index.of(encoded, "detail"), encoded, classes[0]).finish()
    now = encoded.values("detail_where.detections.bounding_box")
    scores = encoded.values("detail_where.detections.score")
    compute(dataset[:6], "kept", keep_features="float16")
    show_where(Index.of(stored, "kept"), stored, classes[0]).finish()
    kept = stored.values("detail_where.detections.score")
    np.testing.assert_allclose(np.concatenate(scores), np.concatenate(kept), atol=2e-3)
    again = stored.values("detail_where.detections.bounding_box")
    np.testing.assert_allclose(np.concatenate(now), np.concatenate(again), atol=0.05)


@pytest.mark.parametrize(
    "settings", [{"vectors": 3}, {"cover": 1}, {"cover": "auto"}]
)
def test_every_kind_of_index(dataset, classes, settings):
    compute(dataset[:6], **settings)
    beside = ["detail_single"] if "vectors" in settings else []
    assert where.showable(dataset) == ["detail", *beside]
    result = show_where(
        Index.of(dataset[:2], "detail"), dataset[:2], classes[0]
    ).finish()
    assert (result.images, result.failed) == (2, {}) and result.boxes >= 2


def test_the_whole_image_index_beside_it(dataset, classes):
    settings = Settings(
        backbone=DEMO, cover=3, fuser="mean", device="cpu", keep_features=False
    )
    compute_index.compute(
        Index.of(dataset[:4], "detail"), dataset[:4], settings, also_global=True
    ).finish()
    assert where.showable(dataset) == ["detail", "detail_global"]
    show_where(Index.of(dataset[:2], "detail_global"), dataset[:2], classes[0]).finish()
    one = dataset[:2].values("detail_where.detections.bounding_box")
    show_where(Index.of(dataset[:2], "detail"), dataset[:2], classes[0]).finish()
    assert one == dataset[:2].values("detail_where.detections.bounding_box")


def test_a_vector_and_a_negative_prompt(dataset, classes):
    compute(dataset[:6], keep_features="int8")
    text = f"{classes[0]}, -0.5 * {classes[1]}"
    view = dataset[:4]
    show_where(Index.of(view, "detail"), view, text).finish()
    one = view.values("detail_where.detections.bounding_box")
    labels = {label for some in view.values("detail_where.detections.label")
              for label in some}
    assert len(labels) == 1 and len(labels.pop()) <= 40
    model = dataset.load_brain_results("detail").get_model()
    plain, other = model.embed_prompts(classes)
    vector = plain - 0.5 * other
    show_where(Index.of(view, "detail"), view, vector, label="mine").finish()
    assert one == view.values("detail_where.detections.bounding_box")
    assert view.distinct("detail_where.detections.label") == ["mine"]
    show_where(Index.of(view, "detail"), view, plain, max_boxes=1).finish()
    assert {len(some) for some in view.values("detail_where.detections")} == {1}
    with pytest.raises(ValueError, match="7 dimensions"):
        show_where(Index.of(view, "detail"), view, np.ones(7)).finish()


def test_each_prompt_has_places_of_its_own(dataset, classes):
    compute(dataset[:6], keep_features="float16")
    view, (one, other) = dataset[:4], classes
    index, kept = Index.of(view, "detail"), {}
    for word in classes:
        show_where(index, view, f"{word}, -0.5 * a ball", label=word).finish()
        kept[word] = (
            view.values("detail_where.detections"),
            [heat.map for heat in view.values("detail_heatmap")],
        )
    text = f"{one}, -0.5 * a ball, 1 * {other}, {one}"
    result = show_where(index, view, text).finish()
    assert result.boxes == view.count("detail_where.detections")
    for at, labels in enumerate(view.values("detail_where.detections")):
        assert [label.label for label in labels if label.label == one]
        for word in classes:
            alone = [(x.bounding_box, x.score) for x in kept[word][0][at]]
            assert alone == [
                (x.bounding_box, x.score) for x in labels if x.label == word
            ]
    for at, heat in enumerate(view.values("detail_heatmap")):
        hottest = np.maximum(kept[one][1][at], kept[other][1][at])
        np.testing.assert_array_equal(heat.map, hottest)
    with pytest.raises(ValueError, match="template"):
        show_where(index, view, text, templates="none such")


def test_an_unreadable_file_stops_nothing(dataset, classes, tmp_path):
    compute(dataset[:6])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    gone = str(tmp_path / "gone.jpg")
    dataset.add_samples([fo.Sample(str(broken)), fo.Sample(gone)])
    result = show_where(
        Index.of(dataset[-4:], "detail"), dataset[-4:], classes[0]
    ).finish()
    assert result.images == 2 and set(result.failed) == {str(broken), gone}
    assert all(result.failed.values())
    assert dataset.count("detail_where") == 2


def test_labels_are_replaced_and_cleared(dataset, classes):
    compute(dataset[:6])
    clear_where(dataset)  # nothing is there yet
    long = "a very long description of " + classes[0]
    show_where(Index.of(dataset[:3], "detail"), dataset[:3], long).finish()
    (label,) = dataset.distinct("detail_where.detections.label")
    assert len(label) <= 40 and label.endswith("…") and long.startswith(label[:-1])
    show_where(Index.of(dataset[:2], "detail"), dataset[:2], classes[1]).finish()
    labels = [{box.label for box in s.detail_where.detections} for s in dataset[:3]]
    assert labels == [{classes[1]}, {classes[1]}, {label}]
    clear_where(dataset)
    assert not any(dataset.has_field(field) for field in FIELDS)
    assert dataset.has_field("ground_truth") and dataset.has_field("detail_embedding")


def test_foreign_fields_are_left_alone(dataset, classes):
    compute(dataset[:6])
    for fields in (
        {"field": "ground_truth"},
        {"field": "background"},
        {"heatmap_field": "ground_truth"},
        {"field": "filepath"},
    ):
        with pytest.raises(ValueError, match="are left alone"):
            show_where(Index(dataset, "detail"), dataset, classes[0], **fields)
        with pytest.raises(ValueError, match="are left alone"):
            clear_where(dataset, **fields)
    show_where(Index.of(dataset[:1], "detail"), dataset[:1], classes[0]).finish()
    with pytest.raises(ValueError, match="are left alone"):  # swapped
        clear_where(dataset, *reversed(FIELDS))
    assert dataset.count("ground_truth.detections") > 0
    assert all(dataset.has_field(field) for field in FIELDS)


@pytest.fixture(scope="module")
def indexed(scenes):
    """Images with an index of ours and one that is not."""
    dataset = load_clver_ds(scenes)
    compute(dataset[:6], cover=1)
    fob.compute_similarity(dataset, embeddings=np.eye(24), brain_key="foreign")
    yield dataset
    dataset.delete()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"query": ""}, "empty"),
        ({"query": "cube, -"}, "a prompt is missing"),
        ({"query": "-a cube"}, "add what to look for"),
        ({"query": np.zeros(256)}, "not 0"),
        ({"query": np.ones((2, 256))}, r"not \(2, 256\)"),
        ({"query": 7}, r"must be one text.* or a vector"),
        ({"brain_key": "nope"}, r"'nope' is no index .* \['detail'\]"),
        ({"brain_key": "foreign"}, r"'foreign' is no index .* \['detail'\]"),
        ({"max_boxes": 0}, "max_boxes"),
        ({"field": "two words"}, "letters, digits"),
        ({"field": "a", "heatmap_field": "a"}, "two names"),
    ],
)
def test_bad_input(indexed, change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        key = change.pop("brain_key", "detail")
        show_where(Index(indexed, key), indexed, **{"query": "cube"} | change)
    assert not any(indexed.has_field(field) for field in ("two words", "a"))
    assert not any(indexed.count(field) for field in FIELDS)


def test_other_collections_and_missing_spaces(dataset, classes):
    with pytest.raises(ValueError, match="compute detail embeddings"):
        show_where(Index(dataset, "detail"), dataset, "cube")
    compute(dataset[:6])
    with pytest.raises(ValueError, match="no samples"):
        show_where(
            Index.of(dataset.limit(1).skip(1), "detail"),
            dataset.limit(1).skip(1),
            "cube",
        )


def test_slices_of_a_grouped_dataset(scenes, operator, classes):
    dataset = fo.Dataset()
    dataset.add_group_field("camera", default="left")
    for pair in zip(*[iter(sorted((scenes / "images").iterdir())[:6])] * 2):
        group = fo.Group()
        dataset.add_samples(
            [
                fo.Sample(str(path), camera=group.element(name))
                for path, name in zip(pair, ("left", "right"))
            ]
        )
    right = dataset.select_group_slices("right")
    compute(right)
    assert show_where(Index.of(right, "detail"), right, classes[0]).finish().images == 3
    assert right.count("detail_where") == 3 and dataset.count("detail_where") == 0
    ctx = context(dataset, right.first().id, text=classes[1])
    for _ in operator.execute(ctx):
        pass
    assert classes[1] in right.first().detail_where.detections[0].label
    left = show_where(Index(dataset, "detail"), dataset, classes[0]).finish()
    assert left.images == 3 and dataset.count("detail_where") == 3
    dataset.delete()


def test_a_space_that_is_not_on_this_machine(dataset, monkeypatch, tmp_path):
    compute(dataset[:6])
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path))
    with pytest.raises(ValueError, match="is not on this machine"):
        show_where(Index(dataset, "detail"), dataset, "cube")


def test_the_form(dataset, operator, classes):
    assert "has no index of detail-embed" in problems(operator, context(dataset))[0]
    compute(dataset[:6])
    ctx = context(dataset)
    properties = operator.resolve_input(ctx).type.properties
    assert problems(operator, ctx) == []
    assert properties["brain_key"].type.values == ["detail"]
    assert properties["text"].required
    assert "24 images of the target view" in properties["text"].view.description
    assert ctx._view_target_resolved
    assert "A prompt is missing" in problems(operator, context(dataset, text="a,"))[0]
    text = {"text": "cube", "field": "ground_truth"}
    assert "left alone" in problems(operator, context(dataset, **text))[0]
    placement = operator.resolve_placement(ctx).to_json()
    assert placement["place"] == "samples-viewer-actions"

    with_vector = context(dataset, vector=[1.0] * 256)
    properties = operator.resolve_input(with_vector).type.properties
    assert not properties["text"].required and "vector" not in properties
    modal = context(dataset, current_sample=dataset.first().id)
    properties = operator.resolve_input(modal).type.properties
    assert "the open image" in properties["text"].view.description


def test_in_the_app(dataset, operator, classes):
    compute(dataset)
    ctx = context(dataset, text=classes[0], max_boxes=1)
    for _ in operator.execute(ctx):
        pass
    assert dataset.count("detail_where") == 24
    (message,) = requests(ctx, "notify")
    assert "24 places in 24 images" in message["message"]
    assert requests(ctx, "reload_samples") and not requests(ctx, "reload_dataset")
    (active,) = requests(ctx, "set_active_fields")
    assert active["fields"] == ["ground_truth", *FIELDS]

    vector = dataset.load_brain_results("detail").get_model().embed_prompts(classes)[1]
    sample = dataset.skip(4).first()
    ctx = context(dataset, sample.id, text="an example", vector=vector.tolist())
    for _ in operator.execute(ctx):
        pass
    (drawn,) = requests(ctx, "@detail/detail-embed/draw_in_image")
    assert drawn == {"fields": [*FIELDS], "id": sample.id}
    assert not requests(ctx, "reload_samples") and not requests(ctx, "reload_dataset")
    new = dataset.match(
        fo.ViewField("detail_where.detections.label").contains("an example")
    )
    assert new.values("id") == [sample.id]

    ctx = context(dataset, text=classes[0], field="places", heatmap_field="heat")
    for _ in operator.execute(ctx):
        pass
    assert requests(ctx, "reload_dataset")  # these are new to the page


def test_a_failure_is_said_in_the_app(dataset, operator):
    compute(dataset[:6], cover=1)
    ctx = context(dataset, vector=[1.0, 2.0])
    ctx.request_params["filters"] = {}
    with pytest.raises(ValueError, match="2 dimensions"):
        for _ in operator.execute(ctx):
            pass
    (message,) = requests(ctx, "notify")
    assert message["variant"] == "error" and "another model" in message["message"]


def test_from_python_and_delegated(dataset, operator, classes):
    compute(dataset[:6])
    result = operator(dataset[:2], classes[0], max_boxes=1)
    assert (result.images, result.boxes) == (2, 2)
    queued = operator(dataset[:5], classes[1], delegate=True)
    assert queued.delegated
    service = DelegatedOperationService()
    service.execute_queued_operations(log=False)
    results = service.get(queued.result["id"]).result.result
    assert (results["images"], results["failed"]) == (5, {})
    assert operator.resolve_output(context(dataset)).to_json()
    assert dataset.count("detail_where") == 5


def test_files_are_not_read_where_features_are_stored(dataset, classes, tmp_path):
    compute(dataset[:6], keep_features="float16")
    sample = dataset.first()
    sample.filepath = str(tmp_path / "moved.jpg")
    sample.save()
    result = show_where(
        Index.of(dataset[:1], "detail"), dataset[:1], classes[0]
    ).finish()
    assert (result.images, result.failed) == (1, {})
