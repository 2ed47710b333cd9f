"""Search in an index of boxes: what is found are labels, shown as close-ups."""

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from fiftyone import ViewField as F
from fiftyone.core.patches import PatchesView

from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.curate.tag_hits import tag_hits
from detail_embed.fiftyone_bridge.index import boxes
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search import examples, query_vectors, selected
from detail_embed.fiftyone_bridge.search.compare import compare
from detail_embed.fiftyone_bridge.search.examples import Box
from tests.boxes import VECTOR, index_boxes
from tests.operators.panel.helpers import SETTINGS

FIELD = "ground_truth"


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def boxed(scenes):
    """Ten scenes with an index of images and one of their boxes."""
    dataset = load_clver_ds(scenes)
    dataset.delete_samples(dataset.skip(10).values("id"))
    DetailIndex(dataset, "detail").compute(dataset, SETTINGS)
    index_boxes(dataset)
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def index(boxed):
    return DetailIndex(boxed, "detail").boxes


@pytest.fixture(scope="module")
def label(boxed):
    """The class of the first box."""
    return boxed.first()[FIELD].detections[0].label


def all_boxes(samples):
    return {label.id: label for sample in samples for label in sample[FIELD].detections}


def test_prompts_find_boxes(boxed, index, label):
    known = all_boxes(boxed)
    found = index.search(label, k=6)
    assert len(found.ids) == 6 and found.searched == len(known) and not found.missing
    assert known[found.ids[0]].label == label and found.label_ids == found.ids
    query = query_vectors.encode(index, label)
    expected = {id: float(one[VECTOR] @ query) for id, one in known.items()}
    best = sorted(expected, key=expected.get, reverse=True)[:6]
    assert found.ids == best
    assert found.scores == pytest.approx([expected[id] for id in best], abs=1e-5)
    assert found.boxes == [known[id].bounding_box for id in best]
    assert found.method == "vectors" and found.likely is None


def test_the_view_is_of_close_ups_best_first(boxed, index, label):
    found = index.search(label, k=6)
    for view in (found.view, found.patches()):
        assert isinstance(view, PatchesView) and view.patches_field == FIELD
        assert view.values("id") == view.values(f"{FIELD}.id") == found.ids
        assert view.values("sample_id") == found.sample_ids
        assert view.values("detail_score") == [round(s, 4) for s in found.scores]
    saved = found.view
    boxed.save_view("boxes", saved)
    assert boxed.load_saved_view("boxes").values("id") == found.ids
    boxed.delete_saved_view("boxes")


def test_its_images_are_a_result_each_once(index, label):
    found = index.search(label, k=12)
    images = found.images
    assert images.ids == list(dict.fromkeys(found.sample_ids))
    assert images.images is images and len(images.ids) < 12
    first = [found.sample_ids.index(id) for id in images.ids]
    assert images.boxes == [found.boxes[place] for place in first]
    assert images.view.values("id") == images.ids
    drawn = images.view.values("detail_match.detections.bounding_box")
    assert [some[0] for some in drawn] == images.boxes


def test_but_not(index, label):
    colour = label.split()[0]
    assert index.search(label, k=1).ids != index.search(f"{label}, -{label}s", k=1).ids
    with pytest.raises(ValueError, match="only what is not wanted"):
        index.search(f"-{colour}")


def test_a_threshold_returns_all_above_it(index, label):
    everything = index.search(label, k=None)
    assert len(everything.ids) == everything.searched
    found = index.search(label, threshold=1.0, k=1)
    above = [z for z in everything.z_scores if z >= 1.0]
    assert found.z_scores == above and found.above == len(above) > 1
    assert found.histogram.counts.sum() == found.searched
    nothing = index.search(label, threshold=99)
    assert nothing.ids == [] and len(nothing.view) == len(nothing.images.view) == 0


def test_search_within(boxed, index, label):
    few = boxed.limit(3)
    found = index.search(label, few, k=None)
    assert set(found.ids) == set(all_boxes(few))
    large = boxed.filter_labels(FIELD, F("scale") > 0.2)
    found = index.search(label, large, k=None)
    assert set(found.ids) == set(all_boxes(large)) and found.searched < 70
    patches = index.search(label, k=9).view
    found = index.search("metal", patches, k=None)
    assert set(found.ids) == set(patches.values("id"))
    again = index.search("metal", patches.limit(4), k=None)  # the same pipeline but one
    assert len(again.ids) == 4
    bare = index.search(label, few.select_fields(), k=None)
    assert set(bare.ids) == set(all_boxes(few))


def test_a_label_is_an_example(boxed, index):
    first = boxed.first()[FIELD].detections[0].id
    found = index.search(like=[first], k=5)
    assert found.ids[0] == first and found.scores[0] == pytest.approx(1, abs=1e-5)
    assert found.text == "like the example"
    assert index.search(like=first, k=5).ids == found.ids
    mixed = index.search("metal", like=[first], k=5)
    vector = examples.mix(index, "metal", [first])
    assert mixed.ids == index.search(vector, k=5).ids
    image = index.search(like=boxed.first().id, k=5)  # the mean of its boxes
    assert image.ids != found.ids


def test_what_is_selected_in_the_app(boxed, index):
    patches, image = index.search("metal", k=3).view, boxed.first()
    ids = patches.values("id")
    assert selected.arguments(index, patches, ids[:2]) == {"sample_ids": ids[:2]}
    label = {"sample_id": image.id, "field": FIELD,
             "label_id": image[FIELD].detections[0].id}
    expected = {"sample_ids": [label["label_id"]]}
    assert selected.arguments(index, boxed.view(), [], [label]) == expected
    in_modal = {**label, "sample_id": ids[0], "label_id": ids[0]}
    assert selected.arguments(index, patches, [], [in_modal]) == {"sample_ids": ids[:1]}
    other = DetailIndex(boxed, "detail")  # of images: the box is encoded
    box = Box(image.filepath, image[FIELD].detections[0].bounding_box)
    assert selected.arguments(other, boxed.view(), [], [label]) == {"boxes": [box]}
    [part] = selected.arguments(other, patches, ids[:1])["boxes"]
    assert part.bounding_box == patches.first()[FIELD].bounding_box
    assert selected.arguments(index, boxed.view(), [image.id]) == {
        "sample_ids": [image.id]
    }
    assert selected.arguments(index, boxed.view()) == {}


def test_boxes_are_tagged(boxed, index, label):
    tagged = tag_hits(index, boxed, label, threshold=1.0, tag="thing")
    assert tagged.noun == "boxes" and tagged.changed == tagged.hits > 1
    assert boxed.count_label_tags(FIELD) == {"thing": tagged.hits}
    assert not boxed.count_sample_tags()
    assert tag_hits(index, boxed, label, threshold=1.0, tag="thing").changed == 0
    gone = tag_hits(index, boxed, label, threshold=1.0, tag="thing", untag=True)
    assert gone.changed == tagged.hits and not boxed.count_label_tags(FIELD)


def test_images_are_compared_by_their_best_box(boxed, label):
    first, second = compare(boxed, label, ["detail", "detail_boxes"], k=3)
    assert len(set(second.found.ids)) == len(boxed)
    assert None not in second.ranks


def test_deleted_labels_are_not_found(boxed):
    copy = boxed.clone()
    try:
        index = DetailIndex(copy, "detail_boxes")
        best = index.search("metal", k=1).ids
        copy.delete_labels(ids=best, fields=FIELD)
        found = index.search("metal", k=None)
        assert best[0] not in found.ids and found.searched == len(all_boxes(copy))
    finally:
        copy.delete()


KINDS = {
    "box": (fo.Detection, lambda box: fo.Detection(label="a", bounding_box=box)),
    "shape": (fo.Polylines, lambda box: fo.Polylines(polylines=[
        fo.Polyline(label="a", points=[[box[:2], [box[0] + box[2], box[1] + box[3]]]])
    ])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_that_fiftyone_made(boxed, kind):
    """Of other labels, with vectors that are in no field, and without a model."""
    document, make = KINDS[kind]
    box = [0.25, 0.25, 0.5, 0.125]
    boxed.add_sample_field(
        kind, fo.EmbeddedDocumentField, embedded_doc_type=document
    )
    boxed.set_values(kind, [make(box) for _ in range(3)] + [None] * 7)
    vectors = np.eye(3, 8, dtype=np.float32)[:, None]
    given = dict(zip(boxed.limit(3).values("id"), vectors))
    fob.compute_similarity(
        boxed.limit(3), patches_field=kind, embeddings=given, brain_key="theirs"
    )
    try:
        index = DetailIndex(boxed, "theirs")
        assert boxes.field_of(index) == kind
        found = index.search(vectors[1, 0], k=2)
        assert found.sample_ids[0] == boxed.skip(1).first().id
        assert found.boxes[0] == pytest.approx(box) and found.searched == 3
        shown = found.ids if kind == "shape" else found.sample_ids
        assert found.view.values("id") == shown
        assert found.view.values("detail_score") == [round(s, 4) for s in found.scores]
        assert index.search(like=found.ids[:1], k=1).ids == found.ids[:1]
        with pytest.raises(ValueError, match="cannot be searched by text"):
            index.search("a thing")
    finally:
        boxed.delete_brain_run("theirs")
        boxed.delete_sample_field(kind)


BAD = {
    "no index": (lambda d: DetailIndex(d, "no_boxes").search("x"), "unknown brain key"),
    "method": (lambda d: _in(d).search("x", method="patches"), "one vector each"),
    "unknown method": (lambda d: _in(d).search("x", method="odd"), "give one of"),
    "k": (lambda d: _in(d).search("x", k=0), "k=0: give a whole number"),
    "threshold": (lambda d: _in(d).search("x", threshold=np.nan), "give a z-score"),
    "example": (lambda d: _in(d).search(like=["a.jpg"]), "no id of a sample"),
    "gone": (lambda d: _in(d).search(like="0" * 24), "has no vector in the index"),
    "no query": (lambda d: _in(d).search(), "a query must be one text"),
    "empty query": (lambda d: _in(d).search(" "), "."),
    "empty view": (lambda d: _in(d).search("x", d.limit(0)), "has no samples"),
    "vector": (lambda d: _in(d).search(np.ones(3)), "of another model"),
    "other patches": (
        lambda d: _in(d).search("x", d.to_patches("detail_match")),
        "patches of 'detail_match', but the index 'detail_boxes' holds the boxes of",
    ),
}


def _in(dataset):
    return DetailIndex(dataset, "detail_boxes")


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_searched(boxed, kind):
    assert len(_in(boxed).search("metal", k=1).view)  # makes the fields of searches
    call, message = BAD[kind]
    with pytest.raises((ValueError, TypeError), match=message):
        call(boxed)


def test_labels_without_vectors(boxed, index):
    bare = boxed.skip(2).first()
    bare[FIELD].detections.append(fo.Detection(label="new", bounding_box=[0, 0, 1, 1]))
    bare.save()
    new = bare[FIELD].detections[-1].id
    try:
        found = index.search("metal", k=None)
        assert found.missing == 1 and new not in found.ids
        only = boxed.filter_labels(FIELD, F("label") == "new")
        with pytest.raises(ValueError, match="none of these 1 labels of 'ground_tr"):
            index.search("metal", only)
    finally:
        boxed.delete_labels(ids=[new], fields=FIELD)


def test_the_field_is_gone(boxed):
    copy = boxed.clone()
    try:
        copy.delete_sample_field(FIELD)
        with pytest.raises(ValueError, match="'ground_truth', which is gone: delete"):
            DetailIndex(copy, "detail_boxes").search("metal")
    finally:
        copy.delete()


def test_an_index_of_images_finds_images(boxed):
    found = DetailIndex(boxed, "detail").search("metal", k=2)
    assert found.noun == "images" and not isinstance(found.view, PatchesView)
    assert boxes.field_of(DetailIndex(boxed, "detail")) is None
    with pytest.raises(ValueError, match="holds images, not the boxes"):
        boxes.require_field(DetailIndex(boxed, "detail"))
