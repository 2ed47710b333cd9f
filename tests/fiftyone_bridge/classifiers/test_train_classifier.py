"""Classifiers of a dataset: trained on its labels, applied, kept."""

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.classifiers import (
    apply_classifier,
    library,
    train_classifier,
)
from detail_embed.fiftyone_bridge.classifiers.apply import scores
from detail_embed.fiftyone_bridge.classifiers.mistaken import find_mistaken_labels
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

SETTINGS = Settings(
    backbone=DEMO, cover=3, fuser="mean", device="cpu", keep_features="float16"
)
SHAPES = ("cube", "sphere", "cylinder", "cone")


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def indexed(scenes):
    """24 scenes; ``shape`` is the first object's material, ``tags`` all of them."""
    dataset = load_clver_ds(scenes)
    dataset.persistent = True
    compute_index.compute(
        DetailIndex(dataset, "detail"), dataset, SETTINGS, also_global=True
    ).finish()
    for sample in dataset.iter_samples(autosave=True):
        materials = [box.material for box in sample.ground_truth.detections]
        sample["material"] = fo.Classification(label=materials[0])
        sample["tags_of_it"] = fo.Classifications(
            classifications=[fo.Classification(label=m) for m in sorted(set(materials))]
        )
        for box in sample.ground_truth.detections:
            box.label = box.material
    yield dataset
    dataset.delete()


@pytest.fixture
def mine(indexed):
    """What a test may spoil is taken away after it."""
    yield indexed
    for name in library.names(indexed):
        library.delete(indexed, name)
    for key in indexed.list_evaluations():
        indexed.delete_evaluation(key)
    known = {"ground_truth", "material", "tags_of_it"}
    labels = indexed.get_field_schema(embedded_doc_type=fo.Label)
    for field in set(labels) - known:
        indexed.delete_sample_field(field)


@pytest.fixture
def index(mine):
    return DetailIndex(mine, "detail")


@pytest.mark.parametrize("kind", ["linear", "prompts", "multiple-instance"])
@pytest.mark.slow
def test_a_field_of_classifications(index, kind):
    dataset = index.dataset
    result = train_classifier(index, "material", kind, templates="own").finish()
    assert (result.judged, result.unit, result.several) == (24, "image", False)
    assert sum(result.examples.values()) == 24 and result.without == 0
    found = dataset.values(result.field)
    assert all(0 < one.confidence <= 1 for one in found)
    assert all(one.logits.argmax() == ["metal", "rubber"].index(one.label)
               for one in found)
    right = np.mean([a == b for a, b in zip(
        dataset.values("material.label"), dataset.values(f"{result.field}.label")
    )])
    assert result.accuracy == pytest.approx(right)
    native = dataset.load_evaluation_results(result.eval_key)
    assert native.metrics()["accuracy"] == pytest.approx(right)
    assert len(result.confused) == (right < 1)
    if right < 1:
        one = result.confused[0]
        assert one.pair.iou == pytest.approx(1 - right)
        assert one.examples[0].truth != one.examples[0].predicted
        assert (one.examples[0].box is None) == (kind != "multiple-instance")
    assert library.names(dataset) == [result.name]
    assert library.report(dataset, result.name)["accuracy"] == result.accuracy
    if kind == "linear":
        again = train_classifier(index, "material", kind, overwrite=True).finish()
        assert again.accuracy == result.accuracy


def test_boxes_and_their_evaluation(index):
    result = train_classifier(index, "ground_truth", "linear").finish()
    boxes = index.dataset.count("ground_truth.detections")
    assert (result.unit, result.judged) == ("box", boxes)
    made = index.dataset.values(f"{result.field}.detections.id", unwind=True)
    assert len(made) == boxes
    native = index.dataset.load_evaluation_results(result.eval_key)
    assert native.metrics()["accuracy"] == pytest.approx(result.accuracy)
    few = train_classifier(index, "ground_truth", "linear", 2, name="few").finish()
    assert few.judged == boxes - 4 and few.examples == {"metal": 2, "rubber": 2}
    native = index.dataset.load_evaluation_results(few.eval_key)
    assert native.metrics()["accuracy"] == pytest.approx(few.accuracy)
    by_box = scores(index, "few")
    assert by_box.matrix.shape == (boxes, 2) and len(set(by_box.label_ids)) == boxes


@pytest.mark.parametrize("kind", ["linear", "multiple-instance"])
def test_boxes_of_which_all_patches_count_and_tags(index, kind):
    result = train_classifier(
        index, "ground_truth", kind, use_boxes=False, name="shown"
    ).finish()
    assert (result.unit, result.several, result.eval_key) == ("image", True, None)
    assert 0 <= result.accuracy <= 1
    assert type(index.dataset.first()["shown"]) is fo.Classifications
    confidences = index.dataset.values("shown.classifications.confidence", unwind=True)
    assert all(one >= 0.5 for one in confidences)
    same = train_classifier(index, "tags_of_it", kind, name="same").finish()
    assert same.several and same.accuracy == pytest.approx(result.accuracy)


def test_multiple_instance_in_boxes(index):
    result = train_classifier(index, "ground_truth", "multiple-instance").finish()
    assert result.unit == "box" and result.accuracy > 0.4


@pytest.mark.parametrize("kind", ["linear", "prompts"])
def test_names_alone(index, kind):
    result = train_classifier(index, "material", kind, 0, name="zero").finish()
    assert result.judged == 24 and "names of the classes" in result.notes[0]
    assert result.examples == {"metal": 0, "rubber": 0} and result.choice is None


def test_applied_to_new_samples(index):
    train_classifier(index, "material", samples=index.dataset[:16]).finish()
    written = index.dataset.exists("material_linear")
    assert len(written) == 16
    applied = apply_classifier(
        index, "material_linear", index.dataset[16:], "found"
    ).finish()
    assert (applied.items, applied.without, sum(applied.counts.values())) == (8, 0, 8)
    assert len(index.dataset.exists("found")) == 8
    here = scores(index, "material_linear").matrix
    names = index.dataset[16:].values("found.label")
    classes = scores(index, "material_linear").classes
    assert [classes[n] for n in here[16:].argmax(axis=1)] == names


def test_another_space_is_refused_by_name(index):
    train_classifier(index, "material").finish()
    other = DetailIndex(index.dataset, "detail_global")
    with pytest.raises(ValueError, match="cannot be compared") as error:
        apply_classifier(other, "material_linear", field="x")
    assert index.config.model in str(error.value)
    assert other.config.model in str(error.value)


def test_what_was_trained_on_is_scored_by_others(index):
    result = train_classifier(index, "material", name="all").finish()
    classifier = library.load(index.dataset, "all")
    own = np.stack(index.dataset.values(f"{result.field}.logits"))
    assert np.allclose(scores(index, "all").matrix, own, atol=1e-5)
    held_out = library.held_out(index.dataset, "all")
    assert set(held_out.ids) == set(index.dataset.values("id"))
    assert classifier.facts["labels_field"] == "material"


def test_mistakenness_takes_the_logits(index):
    import fiftyone.brain as fob

    train_classifier(index, "material").finish()
    fob.compute_mistakenness(
        index.dataset, "material_linear", label_field="material", use_logits=True,
        mistakenness_field="doubt", progress=False,
    )
    assert all(0 <= one <= 1 for one in index.dataset.values("doubt"))
    index.dataset.delete_sample_field("doubt")


def test_odd_labels_are_left_out_and_counted(index):
    dataset = index.dataset
    ids = dataset.values("id")
    labels = [None, "", " ", "one", *["a", "b"] * 10]
    values = {
        id: None if label is None else fo.Classification(label=label)
        for id, label in zip(ids, labels)
    }
    dataset.set_values("odd", values, key_field="id")
    result = train_classifier(index, "odd", name="odd_one").finish()
    assert result.left_out == {"unlabelled": 1, "without a class": 2}
    assert result.examples == {"a": 10, "b": 10, "one": 1}
    assert "Classes with one example: 'one'" in result.notes[0]
    assert result.judged == 20 and len(dataset.exists("odd_one")) == 24
    curved = train_classifier(index, "odd", name="x", curve=True).finish()
    assert "The curve leaves out classes" in curved.notes[-1]
    assert curved.notes[-1].endswith(": 'one'.") and len(curved.curve) == 6
    few = train_classifier(index, "odd", shots=12, name="few").finish()
    assert "less than 12 examples" in few.notes[0] and "'one (1)'" in few.notes[0]
    dataset.set_values("odd", {
        id: fo.Classification(label=label) for id, label in zip(ids, "abcd")
    }, key_field="id")
    dataset.select(ids[4:]).set_field("odd", None).save()
    single = train_classifier(index, "odd", name="single").finish()
    assert single.accuracy is None and single.judged == 0 and single.eval_key is None
    assert "not calibrated" in single.notes[-1], single.notes
    with pytest.raises(ValueError, match="needs classes with two examples"):
        train_classifier(index, "odd", name="y", curve=True)


def test_zero_shots_of_several_classes_say_when_a_class_is_given(index):
    result = train_classifier(index, "tags_of_it", "prompts", shots=0).finish()
    assert "stands out by 3 standard deviations" in result.notes[-1]
    one = train_classifier(index, "material", "prompts", shots=0).finish()
    assert "stands out" not in " ".join(one.notes)


def test_the_curve(index):
    result = train_classifier(index, "material", curve=True).finish()
    assert [point.shots for point in result.curve] == [0, 1, 2, 4, 8, 16]
    assert [len(point.draws) for point in result.curve] == [1, 5, 5, 5, 5, 5]
    assert all(0 <= point.mean <= 1 for point in result.curve)
    assert result.curve[1].low <= result.curve[1].mean <= result.curve[1].high
    kept = library.report(index.dataset, result.name)["curve"]
    assert [point["shots"] for point in kept] == [0, 1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"labels_field": "filepath"}, "no field of Classifications or Detections"),
        ({"labels_field": "none"}, "choose one of .*ground_truth"),
        ({"kind": "liner"}, "did you mean 'linear'"),
        ({"shots": -1}, "shots=-1"),
        ({"shots": True}, "shots=True"),
        ({"shots": 2.5}, "shots=2.5"),
        ({"seed": "a"}, "seed='a'"),
        ({"top": 0}, "top=0"),
        ({"name": "no name"}, "name 'no name'"),
        ({"field": "material"}, "holds the labels"),
        ({"field": "ground_truth"}, "holds Detections, not Classification"),
        ({"templates": "many"}, "template set 'many'"),
    ],
)
def test_what_cannot_be_trained(index, asked, message):
    with pytest.raises(ValueError, match=message):
        train_classifier(index, **({"labels_field": "material"} | asked))


def test_fields_that_cannot_be_learned_from(index):
    dataset = index.dataset
    dataset.set_values("one", [fo.Classification(label="a")] * 24)
    with pytest.raises(ValueError, match="one class only, 'a'"):
        train_classifier(index, "one")
    dataset.set_values("one", [fo.Classification(label=None)] * 24)
    with pytest.raises(ValueError, match="no label to learn from.*24 without a class"):
        train_classifier(index, "one")
    dataset.set_values("lines", [fo.Polylines()] * 24)
    with pytest.raises(ValueError, match="'lines' is no field of Class"):
        train_classifier(index, "lines")
    with pytest.raises(ValueError, match="no similarity index"):
        train_classifier(DetailIndex(dataset, "nothing"), "material")
    with pytest.raises(ValueError, match="no classifier called 'x'; train one first"):
        apply_classifier(index, "x")
    with pytest.raises(ValueError, match="no classifier called"):
        library.delete(dataset, "x")


def test_a_second_training_replaces_nothing_unasked(index):
    train_classifier(index, "material").finish()
    with pytest.raises(ValueError, match="overwrite=True"):
        train_classifier(index, "material")
    with pytest.raises(ValueError, match="has labels for 24"):
        train_classifier(index, "material", name="b", field="material_linear")
    with pytest.raises(ValueError, match="has labels for 24"):
        apply_classifier(index, "material_linear")
    apply_classifier(index, "material_linear", overwrite=True).finish()


@pytest.mark.slow
def test_the_boxes_of_an_index_of_boxes_and_a_mistaken_label(index):
    import fiftyone.brain as fob

    dataset = index.dataset
    rng = np.random.default_rng(0)
    path = "ground_truth.detections.detail_boxes_embedding"
    names = dataset.values("ground_truth.detections.label")
    vectors = [
        [rng.normal(size=8) * 0.1 + (4 if name == "metal" else -4) for name in some]
        for some in names
    ]
    dataset.set_values(path, vectors, dynamic=True)
    fob.compute_similarity(
        dataset, patches_field="ground_truth", embeddings=False,
        embeddings_field="detail_boxes_embedding", brain_key="detail_boxes",
    )
    wrong = dataset.first().ground_truth.detections[0].id
    other = "rubber" if names[0][0] == "metal" else "metal"
    flipped = [[other, *names[0][1:]], *names[1:]]
    dataset.set_values("ground_truth.detections.label", flipped)
    try:
        result = train_classifier(index, "ground_truth", name="crops").finish()
        boxes = sum(map(len, names))
        assert result.accuracy == pytest.approx((boxes - 1) / boxes)
        assert "detail_boxes" in result.space
        found = find_mistaken_labels(index, "crops").finish()
        assert next(iter(found.mistakenness)) == wrong and found.doubtful == 1
        assert found.suggested[wrong] == names[0][0]
        (pair,) = result.confused
        assert [one.label_id for one in pair.examples] == [wrong]
        by_itself = train_classifier(index.boxes, "ground_truth", name="same").finish()
        assert by_itself.accuracy == result.accuracy
    finally:
        dataset.set_values("ground_truth.detections.label", names)
        dataset.delete_brain_run("detail_boxes")
        for name in ("detail_boxes_embedding", "mistakenness", "suggested_label"):
            dataset.delete_sample_field(f"ground_truth.detections.{name}")


def test_mistaken_labels_of_images(index):
    train_classifier(index, "material").finish()
    found = find_mistaken_labels(index, "material_linear", count=3).finish()
    assert len(found.mistakenness) == 24 and len(found.view) == 3
    index.dataset.delete_sample_fields(["material.mistakenness",
                                        "material.suggested_label"])
    train_classifier(index, "tags_of_it", name="several").finish()
    with pytest.raises(ValueError, match="'several' gives an image several classes"):
        find_mistaken_labels(index, "several")
