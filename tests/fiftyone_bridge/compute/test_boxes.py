"""Boxes of a label field as patches: vectors on the labels, and an index of them."""

import json
import os
import shutil

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import squares
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.compute import embed as embedding
from detail_embed.fiftyone_bridge.curate.diverse_subset import select_diverse_subset
from detail_embed.fiftyone_bridge.index import box_sources
from detail_embed.fiftyone_bridge.index.facts import facts
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.provenance import BOXES, CHANGED
from detail_embed.fiftyone_bridge.samples import box_sink

FIELD = "ground_truth"
VECTOR, ERROR = "detail_boxes_embedding", "detail_boxes_error"
CHOICES = {
    "backbone": DEMO, "cover": 2, "fuser": "mean", "vectors": 1, "device": "cpu",
    "keep_features": "float16", "patches_field": FIELD, "also_global": False,
}
N = 3


@pytest.fixture
def few(dataset):
    """Three scenes with boxes of two things each."""
    dataset.delete_samples(dataset[N:].values("id"))
    for sample in dataset:
        sample[FIELD].detections = sample[FIELD].detections[:2]
        sample.save()
    return dataset


@pytest.fixture
def encoded(monkeypatch):
    """Counts the patches that the backbone encodes."""
    counts, encode = [], Backbone.encode_patches

    def count(self, patches, **options):
        counts.append(len(patches))
        return encode(self, patches, **options)

    monkeypatch.setattr(Backbone, "encode_patches", count)

    def taken():
        total = sum(counts)
        counts.clear()
        return total

    return taken


def compute(dataset, **choices):
    return DetailIndex(dataset, "detail").compute(**(CHOICES | choices))


def update(dataset):
    return DetailIndex(dataset, "detail").update()


def vectors(dataset):
    """Vectors of boxes by label id; those that there are."""
    return {
        label.id: label[VECTOR]
        for labels in dataset.values(f"{FIELD}.detections") for label in labels or ()
        if label.has_field(VECTOR) and label[VECTOR] is not None
    }


def images(dataset):
    return dict(zip(dataset.values("id"), dataset.values("detail_embedding")))


def assert_same(found, wanted, atol=1e-5):
    assert found.keys() == wanted.keys()
    for key, vector in wanted.items():
        np.testing.assert_allclose(found[key], vector, atol=atol, err_msg=key)


def differs(one, other):
    return not np.allclose(one, other, atol=1e-3)


@pytest.mark.slow
def test_each_box_is_a_patch_with_a_vector_and_an_index(few, encoded, fresh_python):
    result = compute(few)
    assert (result.embedded, result.boxes, result.failed_boxes) == (N, 2 * N, 0)
    assert encoded() == N * (5 + 2)  # of a cover of 2, and of boxes
    held = vectors(few)
    assert len(held) == 2 * N and ERROR not in few.first()[FIELD].detections[0]
    lengths = [np.linalg.norm(vector) for vector in held.values()]
    np.testing.assert_allclose(lengths, 1, atol=1e-5)

    index = DetailIndex(few, "detail")
    store = index.store()
    assert {len(store[id].boxes) for id in few.values("id")} == {5}
    for sample in few:  # the image's vector is made of both
        patches = [*store.features(sample.id).numpy()]
        patches += [label[VECTOR] for label in sample[FIELD].detections]
        mean = np.mean([p / np.linalg.norm(p) for p in patches], axis=0)
        cosine = mean @ sample["detail_embedding"] / np.linalg.norm(mean)
        assert cosine > 0.9999

    config = few.get_brain_info("detail_boxes").config
    assert (config.patches_field, config.embeddings_field) == (FIELD, VECTOR)
    label = few.first()[FIELD].detections[0].label
    code = (
        "import sys, json, fiftyone as fo\n"
        "patches = fo.load_dataset(sys.argv[1]).to_patches(sys.argv[2])\n"
        "found = patches.sort_by_similarity(sys.argv[3], brain_key='detail_boxes', "
        "k=6)\n"
        "print(json.dumps(found.values('id')))"
    )
    found = fresh_python(code, few.name, FIELD, label)
    ids = json.loads(found.stdout.splitlines()[-1])
    query = DetailIndex(few, "detail_boxes").model.embed_prompt(label)
    assert ids == sorted(held, key=lambda id: -(held[id] @ query))


def test_a_box_is_what_the_backbone_sees_of_its_square(few):
    compute(few, cover="none", padding=0.25)
    sample = few.first()
    pixels = np.array(Image.open(sample.filepath).convert("RGB"))
    height, width = pixels.shape[:2]
    box = sample[FIELD].detections[0].bounding_box
    (x0, y0, x1, y1), = squares.square_windows(np.array([box]), width, height, 0.25)[0]
    model = DetailIndex(few, "detail_boxes").model
    wanted = model.embed(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
    found = sample[FIELD].detections[0][VECTOR]
    assert wanted @ found / np.linalg.norm(wanted) > 0.999
    index = DetailIndex(few, "detail")
    assert index.record.features is None and index.record.identity["cover"] == "none"
    assert index.search("red metal cube", k=1).ids


@pytest.mark.parametrize("keep", ["float16", False], ids=["stored", "not stored"])
@pytest.mark.slow
def test_an_update_makes_anew_what_has_changed_and_nothing_else(few, encoded, keep):
    compute(few, keep_features=keep)
    before, whole = vectors(few), images(few)
    encoded()
    result = update(few)
    assert (result.embedded, result.boxes, encoded()) == (0, 0, 0)
    cover = 0 if keep else 5

    moved, grown, untouched = few
    label = moved[FIELD].detections[0]
    label.bounding_box = [0.1, 0.1, 0.5, 0.4]
    moved.save()
    new = fo.Detection(label="new", bounding_box=[0.3, 0.3, 0.2, 0.2])
    grown[FIELD].detections.append(new)
    grown.save()
    result = update(few)
    assert (result.embedded, result.boxes, result.again) == (2, 2, {BOXES: 2})
    assert encoded() == 2 * cover + 2
    after = vectors(few)
    assert after.keys() == before.keys() | {new.id}
    assert differs(after.pop(label.id), before.pop(label.id))
    del after[new.id]
    assert_same(after, before, atol=0)
    now = images(few)
    assert differs(now[moved.id], whole[moved.id])
    assert differs(now[grown.id], whole[grown.id])
    assert_same({untouched.id: now[untouched.id]}, {untouched.id: whole[untouched.id]})

    gone = untouched[FIELD].detections.pop()
    untouched.save()
    result = update(few)
    assert (result.embedded, result.boxes, result.again) == (1, 0, {BOXES: 1})
    assert encoded() == cover
    assert differs(images(few)[untouched.id], whole[untouched.id])
    found = few.to_patches(FIELD).sort_by_similarity(
        "red cube", brain_key="detail_boxes"
    )
    assert gone.id not in found.values("id") and len(found) == 2 * N

    if not keep:
        return  # what follows takes time
    wanted = few.clone(persistent=True)
    try:
        DetailIndex(wanted, "detail").delete()
        compute(wanted, keep_features=keep)
        assert_same(images(few), images(wanted), atol=2e-3)
        assert_same(vectors(few), vectors(wanted))
    finally:
        wanted.delete()


def test_a_changed_file_gives_its_boxes_new_vectors(few, tmp_path, encoded):
    for i, sample in enumerate(few):
        path = shutil.copy(sample.filepath, tmp_path / f"{i}.jpg")
        sample.filepath = str(path)
        sample.save()
    compute(few)
    before = vectors(few)
    encoded()
    first, second = few.limit(2)
    shutil.copy(second.filepath, first.filepath)
    os.utime(first.filepath, ns=(1, 1))
    result = update(few)
    assert (result.embedded, result.boxes, result.again) == (1, 2, {CHANGED: 1})
    assert encoded() == 5 + 2
    after = vectors(few)
    own = {label.id for label in few.first()[FIELD].detections}
    assert all(differs(after[id], before[id]) == (id in own) for id in before)
    os.remove(first.filepath)
    label = first[FIELD].detections[0]
    label.bounding_box = [0.2, 0.2, 0.5, 0.5]
    first.save()
    result = update(few)
    assert (result.embedded, result.failed) == (0, 1)
    assert vectors(few).keys() == before.keys() - own


def test_bad_boxes_are_recorded_and_stop_nothing(few, encoded):
    bad = {
        "empty": ([0.2, 0.2, 0, 0.1], squares.EMPTY),
        "outside": ([1.5, 0.2, 0.1, 0.1], squares.OUTSIDE),
        "nan": ([float("nan"), 0.2, 0.1, 0.1], squares.NO_NUMBERS),
        "pixel": ([0.5, 0.5, 1 / 256, 1 / 256], squares.ONE_PIXEL),
        "none": (None, squares.NO_NUMBERS),
        "three": ([0.1, 0.1, 0.1], squares.NO_NUMBERS),
    }
    sample = few.first()
    sample[FIELD].detections += [
        fo.Detection(label=name, bounding_box=box) for name, (box, _) in bad.items()
    ]
    sample[FIELD].detections.append(
        fo.Detection(label="partly", bounding_box=[-0.2, 0.4, 0.4, 0.2])
    )
    sample.save()
    last = few.last()
    last[FIELD] = None
    last.save()
    result = compute(few)
    assert (result.embedded, result.failed) == (N, 0)
    assert (result.boxes, result.failed_boxes) == (2 + 1 + 2, len(bad))
    few.reload()
    reasons = {
        label.label: label[ERROR] for label in few.first()[FIELD].detections
        if label.has_field(ERROR) and label[ERROR] is not None
    }
    assert reasons == {name: reason for name, (_, reason) in bad.items()}
    encoded()
    again = update(few)
    assert (again.embedded, again.boxes, again.failed_boxes, encoded()) == (0, 0, 0, 0)
    assert DetailIndex(few, "detail_boxes").coverage().embedded == 2

    sample = few.first()
    label = sample[FIELD].detections[2]
    label.bounding_box = [0.2, 0.2, 0.3, 0.3]
    sample.save()
    result = update(few)
    assert (result.boxes, result.failed_boxes, encoded()) == (1, len(bad) - 1, 1)
    label = few.first()[FIELD].detections[2]
    assert label.has_field(VECTOR) and not label.has_field(ERROR)


def test_boxes_of_polylines_and_images_without_any(few):
    few.add_sample_field(
        "lines", fo.EmbeddedDocumentField, embedded_doc_type=fo.Polylines
    )
    sample = few.first()
    triangle = [[(0.2, 0.2), (0.6, 0.3), (0.4, 0.7)]]
    sample["lines"] = fo.Polylines(
        polylines=[fo.Polyline(label="a", points=triangle), fo.Polyline(label="b")]
    )
    sample[FIELD].detections = [fo.Detection(bounding_box=[0.2, 0.2, 0.4, 0.5])]
    sample.save()
    result = compute(few, patches_field="lines")
    assert (result.embedded, result.boxes, result.failed_boxes) == (N, 1, 1)
    found = few.first()["lines"].polylines[0][VECTOR]
    assert len(few.to_patches("lines").sort_by_similarity(
        "red cube", brain_key="detail_boxes", k=5)) == 1
    DetailIndex(few, "boxes").compute(**CHOICES)
    box = few.first()[FIELD].detections[0]["boxes_boxes_embedding"]
    np.testing.assert_allclose(found, box, atol=1e-5)


def test_boxes_of_a_rotated_file_are_of_the_upright_image(few, tmp_path):
    rng = np.random.default_rng(0)
    blocks = Image.fromarray(rng.integers(0, 255, (6, 9, 3), dtype=np.uint8))
    upright = blocks.resize((180, 120), Image.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    upright.save(tmp_path / "upright.png")
    upright.transpose(Image.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    dataset = fo.Dataset(persistent=True)
    try:
        box = [0.5, 0.1, 0.25, 0.6]
        dataset.add_samples([
            fo.Sample(
                filepath=str(tmp_path / name),
                ground_truth=fo.Detections(detections=[fo.Detection(bounding_box=box)]),
            )
            for name in ("upright.png", "turned.png")
        ])
        compute(dataset)
        one, other = vectors(dataset).values()
        np.testing.assert_allclose(one, other, atol=1e-4)
        assert_same(*[{0: v} for v in dataset.values("detail_embedding")], atol=1e-3)
    finally:
        dataset.delete()


def test_a_killed_run_goes_on(few, monkeypatch, encoded):
    monkeypatch.setattr(embedding, "_CHUNKS", (1, 1))
    write = embedding.BoxSink.write
    written = []

    def die(self, chunk):
        write(self, chunk)
        written.append(chunk)
        if len(written) == 2:
            raise KeyboardInterrupt  # boxes are written, what is noted is not

    with monkeypatch.context() as broken:
        broken.setattr(embedding.BoxSink, "write", die)
        with pytest.raises(KeyboardInterrupt):
            compute(few)
    encoded()
    result = compute(few)
    assert (result.embedded, result.present, result.boxes) == (2, 1, 4)
    assert encoded() <= 5 + 2 * 2  # one image had its patches stored already
    assert len(vectors(few)) == 2 * N


def test_a_few_vectors_are_made_of_boxes_too(few):
    compute(few, vectors=3, cover="none")
    for sample in few:  # the whole image and two boxes, whose level is none
        levels = [patch.level for patch in sample.detail_patches.detections]
        assert sorted(levels) == [0, 0, 1]
    assert DetailIndex(few, "detail").keys == [
        "detail", "detail_single", "detail_boxes"
    ]


def test_renaming_and_deleting_take_the_boxes_along(few, encoded):
    compute(few)
    before = few.to_patches(FIELD).sort_by_similarity(
        "red cube", brain_key="detail_boxes"
    ).values("id")
    index = DetailIndex(few, "detail")
    index.rename("b")
    assert few.list_brain_runs() == ["b", "b_boxes", "b_map"]
    after = few.to_patches(FIELD).sort_by_similarity("red cube", brain_key="b_boxes")
    assert after.values("id") == before
    encoded()
    assert index.update().embedded == encoded() == 0
    assert Index(few, "b_boxes").find()[1] == "box"
    assert index.boxes.base.key == "b" and index.boxes.field == FIELD

    DetailIndex(few, "b_boxes").delete()
    assert few.list_brain_runs() == ["b", "b_map"] and few.has_field(FIELD)
    assert not few.has_field(f"{FIELD}.detections.b_boxes_embedding")
    assert index.update().again == {BOXES: N} and encoded() == 0
    index.delete()
    DetailIndex(few, "b").compute(**(CHOICES | {"cover": "none"}))
    with pytest.raises(ValueError, match="'b' are made of the boxes in 'b_boxes': del"):
        DetailIndex(few, "b_boxes").delete()
    index.delete()
    assert not few.list_brain_runs() and len(few.first()[FIELD].detections) == 2
    assert few.first()[FIELD].detections[0].field_names == (
        few.last()[FIELD].detections[0].field_names
    )
    assert "b_boxes_embedding" not in few.first()[FIELD].detections[0].field_names


def test_other_boxes_are_another_index(few):
    compute(few)
    assert DetailIndex(few, "detail").record.identity["padding"] == 0.0
    for other in ({"padding": 0.2}, {"patches_field": None}):
        with pytest.raises(ValueError, match="another space.*overwrite=True"):
            compute(few, **other)
    result = compute(few, padding=0.2, overwrite=True)
    assert (result.embedded, result.boxes) == (N, 2 * N)
    with pytest.raises(ValueError, match="'detail_boxes' holds the box vectors that"):
        DetailIndex(few, "detail_boxes").compute(**CHOICES)


@pytest.mark.parametrize("label", [
    fo.Detection(bounding_box=[0.1, 0.1, 0.4, 0.4]),
    fo.Polyline(points=[[(0.1, 0.1), (0.5, 0.1), (0.3, 0.6)]]),
])
def test_what_is_said_of_a_field_of_one_label_is_done_literally(few, label):
    few.set_values("one", [label.copy(), label.copy(), None])
    with pytest.raises(ValueError, match="an image") as refused:
        compute(few, patches_field="one")
    code, given = str(refused.value).split("lists, ")[1].split(", and give ")
    exec(code, {"fo": fo, "dataset": few})
    choices = eval(f"dict({given})")
    assert compute(few, **choices).boxes == 2
    assert len(DetailIndex(few, "detail").boxes.search("a cube").ids) == 2


@pytest.mark.parametrize(
    "choices, message",
    [
        ({"patches_field": "nope"}, "no such field.*'ground_truth'"),
        ({"patches_field": "background"}, "holds StringField, which are no lists"),
        ({"patches_field": "kind"}, "holds Classification, which are no lists"),
        ({"patches_field": "one"}, "holds one Detection an image.*Copy them into list"),
        ({"patches_field": "empty"}, "none of these images has a label there"),
        ({"patches_field": 5}, "patches_field must be a text"),
        ({"padding": -0.1}, "padding=-0.1: give a number from 0 to 10"),
        ({"padding": float("nan")}, "padding=nan: give a number"),
        ({"padding": 1e9}, "give a number from 0 to 10"),
        ({"cover": "none", "patches_field": None}, "leaves the whole image alone"),
    ],
)
def test_what_cannot_be_a_field_of_boxes_is_named(few, choices, message):
    few.add_sample_field(
        "empty", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
    )
    few.set_values("kind", [fo.Classification(label="a")] * N)
    few.set_values("one", [fo.Detection(bounding_box=[0.1, 0.1, 0.2, 0.2])] * N)
    with pytest.raises(ValueError, match=message):
        compute(few, **choices)
    assert not few.list_runs()


def test_boxes_of_another_slice_are_named(few):
    grouped = fo.Dataset(persistent=True)
    try:
        group = fo.Group()
        left, right = few.limit(2)
        samples = [fo.Sample(left.filepath, group=group.element("left")),
                   fo.Sample(right.filepath, group=group.element("right"))]
        samples[1][FIELD] = fo.Detections(
            detections=[fo.Detection(label="cube", bounding_box=[0.1, 0.1, 0.4, 0.4])]
        )
        grouped.add_samples(samples)
        assert grouped.group_slice == "left"
        with pytest.raises(ValueError, match=r"slices \['right'\] have some: choose"):
            compute(grouped)
        right = grouped.select_group_slices("right")
        choices = CHOICES | {"cover": "none"}
        DetailIndex(grouped, "detail").compute(right, **choices)
        boxes = DetailIndex(grouped, "detail").boxes
        with pytest.raises(ValueError, match="of groups, in the slice that has"):
            boxes.search("a cube", grouped)
        assert len(boxes.search("a cube", right).ids)
    finally:
        grouped.delete()


def test_a_diverse_subset_of_patches_is_of_their_images(few):
    compute(few, cover="none")
    index = DetailIndex(few, "detail").boxes
    patches = few.limit(2).to_patches(FIELD)
    chosen = select_diverse_subset(index, patches, n=2, tag="todo").finish()
    assert sorted(chosen.ids) == few.limit(2).values("id")
    assert few.match_tags("todo").values("id") == sorted(chosen.ids)


def test_a_field_that_is_gone_is_named(few):
    compute(few)
    few.delete_sample_field(FIELD)
    assert [one.images for one in facts(few)] == [N, 0]
    with pytest.raises(ValueError, match="'ground_truth'.*no such field"):
        update(few)
    DetailIndex(few, "detail").delete()
    assert not few.list_brain_runs()


def test_very_many_boxes_are_cut_in_parts(few, monkeypatch):
    compute(few)
    wanted = vectors(few)
    DetailIndex(few, "detail").delete()
    monkeypatch.setattr("detail_embed.engine.cut._MOST_BOXES", 1)
    monkeypatch.setattr(box_sink, "_AT_ONCE", 1)
    compute(few)
    assert_same(vectors(few), wanted)


def test_boxes_for_which_a_sample_has_no_room_are_recorded(
    few, monkeypatch, tmp_path
):
    monkeypatch.setattr(box_sources, "_BYTES", 4 * 256)
    result = compute(few, cover="none")
    assert (result.boxes, result.failed_boxes) == (N, N)
    few.reload()
    assert few.first()[FIELD].detections[1][ERROR] == "its image has more than 1 boxes"
    exported = DetailIndex(few, "detail_boxes").export(tmp_path / "boxes.parquet")
    assert exported.vectors == N
    assert update(few).embedded == 0
