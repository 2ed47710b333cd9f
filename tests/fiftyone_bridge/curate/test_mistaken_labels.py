"""Boxes as things of their own: mistaken labels, duplicates, outliers, a map."""

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone import ViewField as F
from fiftyone.core.patches import PatchesView

from detail_embed.evaluation.mistakenness import mistakenness
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.compute import embeddings_map
from detail_embed.fiftyone_bridge.curate import judge_labels, near_duplicates, outliers
from detail_embed.fiftyone_bridge.curate.mistaken_labels import find_mistaken_labels
from detail_embed.fiftyone_bridge.samples import label_attributes
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from tests.boxes import index_boxes
from tests.operators.panel.helpers import OPERATORS, SETTINGS

FIELD = "ground_truth"
LABELS = f"{FIELD}.detections.label"


@pytest.fixture(scope="module")
def labelled(scenes, tmp_path_factory):
    """Twelve scenes, an index of images and of boxes, and the shape as the class."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        dataset = load_clver_ds(scenes)
        dataset.delete_samples(dataset.skip(12).values("id"))
        DetailIndex(dataset, "detail").compute(dataset, SETTINGS)
        index_boxes(dataset)
        yield dataset
        dataset.delete()


@pytest.fixture
def mine(labelled):
    """A copy that a test may spoil."""
    copy = labelled.clone()
    yield copy
    copy.delete()


def index_of(dataset, key="detail_boxes"):
    return DetailIndex(dataset, key)


def spoil(dataset, count, seed=0):
    """Gives some boxes the class of others; returns their ids."""
    rng = np.random.default_rng(seed)
    ids, names = dataset.values([f"{FIELD}.detections.id", LABELS], unwind=True)
    changed = {}
    for place in rng.choice(len(ids), count, replace=False):
        others = [name for name in names if name != names[place]]
        changed[ids[place]] = str(rng.choice(others))
    dataset.set_label_values(LABELS, changed)
    return set(changed)


def find(dataset, key="detail_boxes", samples=None, **options):
    samples = dataset if samples is None else samples
    return find_mistaken_labels(index_of(dataset, key), samples, **options).finish()


def test_mistaken_boxes_come_first(mine):
    wrong = spoil(mine, 8)
    found = find(mine)
    worst = list(found.mistakenness)
    assert len(wrong & set(worst[:8])) >= 6  # by chance less than one
    values = list(found.mistakenness.values())
    assert values == sorted(values, reverse=True) and 0 <= values[-1] < values[0] <= 1
    assert found.doubtful == sum(value > 0.5 for value in values)
    assert isinstance(found.view, PatchesView)
    assert found.view.values("id") == worst[:100]
    assert found.view.values(f"{FIELD}.mistakenness") == values[:100]
    assert found.view.values(f"{FIELD}.suggested_label") == [
        found.suggested[id] for id in worst[:100]
    ]
    held = label_attributes.read(mine, FIELD, "label", "mistakenness")
    assert {id: value for id, (_, value) in held.items()} == found.mistakenness
    assert {id: name for id, (name, _) in held.items()} == found.names
    assert all(found.suggested[id] != found.names[id] for id in worst)


def test_a_view_and_a_list_of_classes(mine):
    find(mine)
    few = mine.limit(2)
    used = few.distinct(LABELS)
    found = find(mine, samples=few, classes=[used[0], "dog: a dog, a puppy"], count=1)
    assert set(found.names.values()) == {used[0]} and len(found.view) == 1
    assert found.unused == ("dog",) and sorted(found.unlisted) == used[1:]
    assert set(found.suggested.values()) == {"dog"}
    held = label_attributes.read(mine, FIELD, "mistakenness")
    judged = {id for id, (value,) in held.items() if value is not None}
    assert judged == set(found.names)
    patches = mine.to_patches(FIELD).limit(5)
    assert set(find(mine, samples=patches).names) == set(patches.values("id"))


def test_labels_without_a_class_or_a_vector(mine):
    total = len(mine.values(LABELS, unwind=True))
    first = mine.first()
    first[FIELD].detections[0].label = None
    first[FIELD].detections.append(fo.Detection(label="new", bounding_box=[0, 0, 1, 1]))
    first.save()
    found = find(mine)
    assert (found.unnamed, found.without) == (1, 1)
    assert len(found.mistakenness) == total - 1


def test_labels_of_whole_images(mine):
    shapes = [some[0].split()[-1] for some in mine.values(LABELS)]
    mine.add_sample_field(
        "kind", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification
    )
    mine.set_values("kind", [fo.Classification(label=shape) for shape in shapes])
    found = find(mine, "detail", label_field="kind")
    assert len(found.view) == len(found.mistakenness) == len(mine)
    shown = found.view.values("kind.mistakenness")
    assert shown == sorted(shown, reverse=True) == list(found.mistakenness.values())


def test_several_labels_of_an_image_are_not_suggested_for_each_other(mine):
    mine.add_sample_field(
        "kinds", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications
    )
    mine.set_values("kinds", [
        fo.Classifications(classifications=[fo.Classification(label=n) for n in some])
        for some in (["cube", "ball"], ["cone"], ["cube", "ball", "cone"], *[[]] * 9)
    ])
    found = find(mine, "detail", label_field="kinds")
    assert sorted(found.names.values()) == ["ball", "ball", "cone", "cone", "cube",
                                            "cube"]
    first, _, third = mine.limit(3)
    for label in first.kinds.classifications:
        assert found.suggested[label.id] == "cone"
    for label in third.kinds.classifications:
        assert found.mistakenness[label.id] == 0


def test_scores_of_anything_else(mine):
    """A trained classifier may give them."""
    ids, names = mine.values([f"{FIELD}.detections.id", LABELS], unwind=True)
    classes = sorted(set(names))
    scores = np.eye(len(classes))[[classes.index(name) for name in names]]
    scores[7] = np.roll(scores[7], 1)
    found = judge_labels.judge(mine, FIELD, ids, scores, classes, comparable=True)
    assert next(iter(found.mistakenness)) == ids[7] and found.doubtful == 1
    right = (classes.index(names[7]) + 1) % len(classes)
    assert found.suggested[ids[7]] == classes[right]


def test_kept_for_the_panel(mine):
    assert judge_labels.read(mine) is None
    found = find(mine, count=5)  # whoever asks, a delegated service, too
    kept = judge_labels.read(mine)
    assert [label["id"] for label in kept["labels"]] == found.view.values("id")
    mine.delete_labels(ids=kept["labels"][0]["id"], fields=FIELD)
    left = judge_labels.view_of(mine, kept)
    assert left.values("id") == found.view.values("id")[1:]
    mine.delete_sample_field(FIELD)
    assert judge_labels.read(mine) is None


BAD = {
    "no index": (dict(key="gone_boxes"), "no index 'gone_boxes': choose"),
    "images": (dict(key="detail"), "holds whole images.*choose an index of boxes"),
    "other field": (dict(label_field="other"), "holds the boxes of 'ground_truth'"),
    "one class": (dict(classes=["cube"]), "'cube' is the only class"),
    "no class": (dict(classes=[]), "there is no label"),
    "no text": (dict(classes=["cube", 3]), "must be a string"),
    "strangers": (dict(classes=["dog", "cat"]), "no label of 'ground_truth' has one"),
    "count": (dict(count=0), "count must be a whole number of at least 1, not 0"),
    "empty": (dict(samples="none"), "has no samples"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_judged(labelled, kind):
    options, message = BAD[kind]
    if options.get("samples"):
        options = {"samples": labelled.limit(0)}
    with pytest.raises((ValueError, TypeError), match=message):
        find(labelled, **options)


def test_labels_that_cannot_be_judged(mine):
    name = mine.first()[FIELD].detections[0].label
    one = mine.filter_labels(FIELD, F("label") == name)
    with pytest.raises(ValueError, match="is the only class, so nothing else"):
        find(mine, samples=one)
    mine.set_values(LABELS, [[None] * len(some) for some in mine.values(LABELS)])
    with pytest.raises(ValueError, match="no label of 'ground_truth' has a class"):
        find(mine)
    mine.add_sample_field(f"{FIELD}.detections.mistakenness", fo.FloatField)
    with pytest.raises(ValueError, match="'mistakenness' that something else made"):
        find(mine)


def test_the_operator(mine):
    wrong = spoil(mine, 8)
    operator = foo.get_operator(f"{OPERATORS}/find_mistaken_labels")
    found = operator(mine, count=8)
    assert len(wrong & set(found.view.values("id"))) >= 6
    text = operator.summarise(found)
    assert f"of {len(found.names)} labels" in text and "| Fits better |" in text
    left = operator(mine, classes=f"{next(iter(found.names.values()))}\na dog")
    text = operator.summarise(left)
    assert "not in the list" in text
    assert "No label has one of these classes: 'a dog'" in text
    with pytest.raises(ValueError, match="there is no label"):
        operator(mine, classes="")


def test_mistakenness_by_hand():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.2]])
    values, suggested = mistakenness(scores, [0, 1, 1], comparable=True)
    assert suggested.tolist() == [1, 0, 0]
    assert (values > 0.5).tolist() == [False, False, True]
    spread = scores.std()
    assert values[2] == pytest.approx(1 / (1 + np.exp(-0.5 / spread)))
    taken = np.array([[False, True]] * 3)
    values, suggested = mistakenness(scores, [0, 0, 0], taken)
    assert values.tolist() == [0] * 3 and suggested.tolist() == [0] * 3


def test_a_class_that_fits_everything():
    rng = np.random.default_rng(0)
    right = rng.integers(0, 2, 400)
    scores = np.eye(2)[right] + rng.normal(0, 0.2, (400, 2)) + [0.0, 2.0]
    own = right.copy()
    own[:20] = 1 - own[:20]

    def found(comparable):
        values, _ = mistakenness(scores, own, comparable=comparable)
        return (np.argsort(-values)[:20] < 20).sum()

    assert found(False) == 20 > found(True) + 3


@pytest.mark.parametrize("scores, own, message", [
    (np.zeros((3, 1)), [0, 0, 0], "two classes expected"),
    (np.zeros((0, 2)), [], "at least one thing"),
    (np.full((2, 2), np.nan), [0, 1], "not finite"),
    (np.zeros((2, 2)), [0], "own: 2 whole numbers"),
    (np.zeros((2, 2)), [0, 2], "from 0 to 1"),
    (np.zeros((2, 2)), [0.0, 1.0], "whole numbers"),
])
def test_tables_that_are_none(scores, own, message):
    with pytest.raises(ValueError, match=message):
        mistakenness(scores, own)


def test_near_duplicates_of_boxes(mine):
    found = near_duplicates.find_near_duplicates(index_of(mine), mine, 0.2).finish()
    total = len(mine.values(LABELS, unwind=True))
    assert found.noun == "boxes" and found.images == total
    assert isinstance(found.view, PatchesView) and found.duplicates
    assert found.view.values("id") == [
        id for kept, others in found.groups.items() for id in (kept, *dict(others))
    ]
    few = mine.limit(2)
    few = near_duplicates.find_near_duplicates(index_of(mine), few, 0.2).finish()
    assert few.images < found.images


def test_outlying_boxes(mine):
    found = outliers.find_outliers(index_of(mine), mine, 5).finish()
    values = found.view.values(found.field)
    assert isinstance(found.view, PatchesView) and found.noun == "boxes"
    assert values[0] == 1 and values == sorted(values, reverse=True)
    path = f"{FIELD}.detections.detail_boxes_uniqueness"
    assert len(mine.values(path, unwind=True)) == found.images
    few = outliers.find_outliers(index_of(mine), mine.limit(2), 5).finish()
    held = [value for value in mine.values(path, unwind=True) if value is not None]
    assert len(held) == few.images < found.images


def test_a_map_of_boxes(mine):
    made = embeddings_map.map_embeddings(index_of(mine), mine, "pca").finish()
    results = mine.load_brain_results(made.brain_key)
    assert made.noun == "boxes" and made.images == len(results.points)
    assert results.config.patches_field == FIELD
    ids = mine.values(f"{FIELD}.detections.id", unwind=True)
    assert list(results.label_ids) == ids
    vectors = np.array(mine.values(f"{FIELD}.detections.detail_boxes_embedding",
                                   unwind=True))
    centred = vectors - vectors.mean(axis=0)
    first = np.linalg.svd(centred, full_matrices=False)[0][:, 0]
    assert abs(np.corrcoef(first, results.points[:, 0])[0, 1]) > 0.99
