"""Concepts of a dataset: taught by examples, kept, and a prompt like any other."""

import os
from dataclasses import replace

import fiftyone as fo
import numpy as np
import pytest
from safetensors.numpy import save_file

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.concepts import kept, resolve
from detail_embed.fiftyone_bridge.concepts.concept import Concept, Mark, check_name
from detail_embed.fiftyone_bridge.concepts.files import (
    export_concepts,
    import_concepts,
)
from detail_embed.fiftyone_bridge.curate.classify import classify
from detail_embed.fiftyone_bridge.curate.long_tail import long_tail, view
from detail_embed.fiftyone_bridge.evaluate.evaluate_retrieval import evaluate
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search import examples, query_vectors
from detail_embed.fiftyone_bridge.search.compare import compare
from detail_embed.fiftyone_bridge.teach import judged
from detail_embed.fiftyone_bridge.teach.features import Patches
from detail_embed.fiftyone_bridge.where.show_where import clear_where

KEY, FEW = "detail", "few"
GONE = "0" * 24
THING = "red metal cube"


@pytest.fixture(scope="module")
def kept_dataset(scenes):
    dataset = load_clver_ds(scenes)
    settings = Settings(backbone=DEMO, cover=2, device="cpu", keep_features="float16")
    DetailIndex(dataset, KEY).compute(settings=replace(settings, fuser="mean"))
    few = replace(settings, cover=3, vectors=3, keep_features=False)
    DetailIndex(dataset, FEW).compute(settings=few, also_global=False)
    yield dataset
    dataset.delete()


@pytest.fixture
def dataset(kept_dataset):
    yield kept_dataset
    for name in kept.names(kept_dataset):
        kept.delete(kept_dataset, name)


@pytest.fixture
def index(dataset):
    return DetailIndex(dataset, KEY)


@pytest.fixture
def ids(dataset):
    return dataset.values("id")


def label_of(dataset, place=0):
    sample = dataset.skip(place).first()
    return sample, sample.ground_truth.detections[0]


def of_another_backbone(dataset, name="strange"):
    vector = np.eye(8, dtype=np.float32)[0]
    concept = Concept(name, vector, "rn50-abc", "a text")
    kept.write(dataset, concept)
    return concept


@pytest.mark.slow
def test_a_concept_is_a_prompt_like_any_other(index, ids):
    concept = index.teach("helmet", ids[:3], ids[3:5], text=THING)
    assert concept.prompt == "#helmet"
    assert np.linalg.norm(concept.vector) == pytest.approx(1, abs=1e-5)
    found = index.search("#helmet", k=None)
    assert found.text == "#helmet" and found.likely is None
    assert found.ids == index.search(concept.vector, k=None).ids
    assert found.ids != index.search(THING, k=None).ids
    mixed = index.search("2 * #helmet, -a blue sphere", k=None)
    assert mixed.ids != found.ids
    kept_one = index.concepts["helmet"]
    np.testing.assert_array_equal(kept_one.vector, concept.vector)
    assert kept_one.facts() == concept.facts()
    assert kept_one.text == THING and kept_one.created.endswith("+00:00")
    assert kept_one.positives == tuple(map(Mark, ids[:3]))


def test_examples_draw_what_is_like_them_up_and_down(index, ids):
    plain = index.search(THING, k=None).ids
    low, high = plain[-1], plain[0]
    taught = index.teach("it", [low], [high], THING)
    now = index.search(taught.prompt, k=None).ids
    assert now.index(low) < plain.index(low)
    assert now.index(high) >= plain.index(high)


def test_a_text_alone_is_a_name_for_it(index):
    index.teach("a thing", text=f"{THING}, -at night")
    vector = query_vectors.encode(index, f"{THING}, -at night")
    want = index.search(vector, k=None).ids
    assert index.search('#"a thing"', k=None).ids == want


def test_a_concept_may_be_taught_by_another(index, ids):
    index.teach("first", ids[:2], text=THING)
    second = index.teach("second", ids[:3], text="#first")
    assert second.text == "#first"


@pytest.mark.parametrize("kind", ["label", "id", "pair", "mark"])
def test_a_box_says_which_patch_is_meant(index, dataset, kind):
    sample, label = label_of(dataset)
    given = {
        "label": label, "id": label.id, "pair": (sample.id, label.bounding_box),
        "mark": Mark(sample.id, tuple(label.bounding_box)),
    }[kind]
    (mark,), left_out = judged.read(dataset, [given], "positives")
    assert not left_out and mark.sample_id == sample.id
    np.testing.assert_allclose(mark.box, label.bounding_box)
    example = Patches(index).examples([mark])[0][mark]
    stored = index.store()[sample.id]
    side = stored.boxes[0, 2:]
    box = np.array(mark.box) * np.tile(side, 2)
    low = np.maximum(stored.boxes[:, :2], box[:2])
    high = np.minimum(stored.boxes[:, 2:], box[:2] + box[2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(stored.boxes[:, 2:] - stored.boxes[:, :2], axis=1)
    union = areas + np.prod(box[2:]) - inside
    assert example.patch == (inside / union).argmax()


def test_labels_of_other_kinds(dataset):
    sample = dataset.first()
    square = [(0.2, 0.2), (0.4, 0.2), (0.4, 0.5)]
    sample["line"] = fo.Polyline(label="a", points=[square], closed=True)
    sample["kind"] = fo.Classification(label="indoor")
    sample["odd"] = fo.Detection(label="a", bounding_box=[0.1, 0.1, float("nan"), 0.2])
    sample.save()
    try:
        labels = [sample[name].id for name in ("line", "kind", "odd")]
        marks, left_out = judged.read(dataset, labels, "positives")
        np.testing.assert_allclose(marks[0].box, [0.2, 0.2, 0.2, 0.3])
        assert marks[1] == Mark(sample.id)
        assert left_out == {labels[2]: "is a label without a box in its image"}
    finally:
        dataset.delete_sample_fields(["line", "kind", "odd"])


def test_without_stored_features_the_vectors_of_the_image_are_taken(dataset, ids):
    few = DetailIndex(dataset, FEW)
    sample, label = label_of(dataset)
    marks = [Mark(sample.id), Mark(sample.id, tuple(label.bounding_box))]
    whole, box = (Patches(few).examples(marks)[0][mark] for mark in marks)
    assert whole.features.shape[0] == 3 and whole.patch is None
    assert box.patch == 3
    crop = examples.crop(examples.Box(sample.filepath, label.bounding_box))
    (own,) = examples.of_images(few, [crop])
    np.testing.assert_allclose(box.features[3], own, atol=1e-6)
    few.teach("few", ids[:2], text=THING)
    assert len(few.search("#few", k=5).ids) == 5
    assert len(DetailIndex(dataset, KEY).search("#few", k=5).ids) == 5


def test_an_image_without_a_vector_is_encoded(index, dataset, ids, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    paths = [dataset.first().filepath, str(bad)]
    new = dataset.add_samples([fo.Sample(filepath=path) for path in paths])
    try:
        concept = index.teach("new", [new[0], ids[1]], [new[1]], THING)
        assert concept.positives == (Mark(new[0]), Mark(ids[1]))
        assert list(concept.left_out) == [new[1]]
        assert "cannot be read" in concept.left_out[new[1]]
        with pytest.raises(ValueError, match="none of the positives can be read"):
            index.teach("new", [new[1]])
    finally:
        dataset.delete_samples(new)


def test_a_text_goes_on_where_all_examples_were_deleted(index, ids, caplog):
    concept = index.teach("gone", [GONE, GONE[:-1] + "1"], [GONE[:-1] + "2"], THING)
    assert not concept.positives and len(concept.left_out) == 3
    assert "3 examples of 'gone' were deleted" in caplog.text
    known = index.teach("plain", text=THING)
    assert np.allclose(concept.vector, known.vector)
    with pytest.raises(ValueError, match="none of the 1 can be used"):
        index.teach("x", [GONE])


def test_examples_that_were_deleted_are_named(index, dataset, ids):
    concept = index.teach("half", [GONE, ids[0]], text=THING)
    assert concept.positives == (Mark(ids[0]),)
    assert concept.left_out == {GONE: f"is not in the dataset {dataset.name!r}"}
    assert index.concepts["half"].left_out == concept.left_out


def test_what_cannot_be_taught(index, dataset, ids):
    other = fo.Dataset()
    (strange,) = other.add_samples([fo.Sample(filepath=dataset.first().filepath)])
    wrong = [
        (([], []), "nothing to learn from: give positives"),
        ((None, None), "nothing to learn from"),
        (([], ids[:2]), "2 thumbs down, no thumb up and no text"),
        (([ids[0], ids[1]], [ids[1]]), f"{ids[1]} is among the positives and the neg"),
        (([GONE], []), f"none of the 1 can be used: {GONE} is not in the dataset"),
        (([strange], []), f"{strange} is of the dataset '{other.name}', not of"),
        (([(ids[0], [0.9, 0.9, -0.1, 0.1])], []), "is no place in an image"),
        (([(ids[0], [0.1, 0.1])], []), "is no place in an image"),
        (([(ids[0], [float("nan")] * 4)], []), "is no place in an image"),
    ]
    for (positives, negatives), message in wrong:
        with pytest.raises(ValueError, match=message):
            index.teach("x", positives, negatives)
    box = (ids[0], [0.1, 0.1, 0.2, 0.2])
    with pytest.raises(ValueError, match="box .* is among the positives and the"):
        index.teach("x", [box], [box], THING)
    index.teach("x", [box], [ids[0]], THING)  # this, but not the rest of the image
    with pytest.raises(TypeError, match="'a.jpg' is no id of a sample or label"):
        index.teach("x", ["a.jpg"])
    with pytest.raises(TypeError, match="give a list of ids"):
        index.teach("x", 3)
    with pytest.raises(ValueError, match="text='' is empty: give what a person"):
        index.teach("x", ids[:1], text="")
    with pytest.raises(ValueError, match="unknown brain key 'no'"):
        DetailIndex(dataset, "no").teach("x", ids[:1])
    other.delete()


@pytest.mark.parametrize("name", ["", " ", "#", "a, b", "a:b", "a\0b", "x" * 81])
def test_names_that_are_none(index, ids, name):
    with pytest.raises(ValueError, match="give a name such as 'helmet'"):
        index.teach(name, ids[:1])


def test_names(dataset):
    assert check_name("  #red \n helmet ") == "red helmet"
    assert check_name("cafe\u0301") == "café"
    assert check_name("## ＃helmet #1") == "helmet #1"  # else nobody can name it
    assert check_name('#"red helmet"') == "red helmet"  # as a prompt has it
    with pytest.raises(TypeError, match="must be a text"):
        check_name(3)


def test_kept_renamed_deleted(index, dataset, ids):
    index.teach("头盔", ids[:1], text=THING)
    index.teach("red hat", ids[:2], text=THING)
    assert kept.names(dataset) == ["red hat", "头盔"]
    first = index.search("#头盔", k=None).ids
    kept.rename(dataset, "头盔", "helmet")
    assert index.search("#helmet", k=None).ids == first
    with pytest.raises(ValueError, match="has a concept 'red hat' already"):
        kept.rename(dataset, "helmet", "red hat")
    with pytest.raises(ValueError, match="has a concept 'helmet' already"):
        index.teach("helmet", ids[:1], overwrite=False)
    again = index.teach("helmet", ids[3:6], text=THING)
    np.testing.assert_array_equal(index.concepts["helmet"].vector, again.vector)
    kept.delete(dataset, "#helmet")
    assert kept.names(dataset) == ["red hat"]
    for action in (kept.delete, kept.read):
        with pytest.raises(ValueError, match=r'no concept .* Did you mean #"red hat"'):
            action(dataset, "read hat")


def test_an_unknown_name_is_answered_by_those_there_are(index, ids):
    with pytest.raises(ValueError, match="It has none yet: select images"):
        index.search("#helmet")
    index.teach("Helmet", ids[:1], text=THING)
    with pytest.raises(ValueError, match=r"Did you mean #Helmet\? There are #Helmet"):
        index.search("#helmt")
    with pytest.raises(ValueError, match='needs quotes: "#1"'):
        index.search("#1")
    assert index.search('"#1"').ids == index.search('"#1", "#1"').ids


def test_concepts_go_with_a_copy_and_an_export(index, dataset, ids, tmp_path):
    concept = index.teach("helmet", ids[:2], ids[2:3], text=THING)
    kind = fo.types.FiftyOneDataset
    dataset.export(str(tmp_path / "all"), kind, export_media=False, progress=False)
    copies = [dataset.clone(), fo.Dataset.from_dir(
        str(tmp_path / "all"), dataset_type=kind, rel_dir="/", progress=False
    )]
    for copy in copies:
        there = kept.read(copy, "helmet")
        np.testing.assert_array_equal(there.vector, concept.vector)
        assert there.facts() == concept.facts()
        copy.delete()


def test_a_file_of_concepts(index, dataset, ids, tmp_path):
    path = tmp_path / "concepts.safetensors"
    with pytest.raises(ValueError, match="there is no concept to export"):
        export_concepts(dataset, path)
    first = index.teach("helmet", ids[:2], text=THING)
    index.teach("头盔", ids[:3], text=THING)
    assert export_concepts(dataset, path, "helmet") == ["helmet"]
    with pytest.raises(ValueError, match="exists: choose another path"):
        export_concepts(dataset, path)
    assert export_concepts(dataset, path, overwrite=True) == ["helmet", "头盔"]
    with pytest.raises(ValueError, match="has a concept 'helmet' already"):
        import_concepts(dataset, path)
    before = index.search("#helmet", k=None).ids
    kept.delete(dataset, "helmet")
    assert import_concepts(dataset, path, overwrite=True) == ["helmet", "头盔"]
    assert index.search("#helmet", k=None).ids == before
    assert kept.read(dataset, "helmet").facts() == first.facts()
    for wrong in (tmp_path, tmp_path / "no" / "x.safetensors", "", 3):
        with pytest.raises(ValueError, match="give"):
            export_concepts(dataset, wrong)


@pytest.mark.parametrize("content", [None, b"", b"no file of ours", "other", "nan"])
def test_files_that_hold_no_concepts(dataset, tmp_path, content):
    path = tmp_path / "file.safetensors"
    vector = np.full(4, np.nan if content == "nan" else 0.5, np.float32)
    if content in ("other", "nan"):
        facts = Concept("a", vector, "b").facts()
        text = str([facts]).replace("'", '"').replace("None", "null")
        known = {"detail_embed_concepts": text} if content == "nan" else None
        save_file({"0": vector}, path, known)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="holds no concepts|there is no file"):
        import_concepts(dataset, path)
    assert kept.names(dataset) == []


def test_a_folder_holds_no_concepts(dataset, tmp_path):
    with pytest.raises(ValueError, match="is a folder: give the file of an export"):
        import_concepts(dataset, tmp_path)


def test_a_concept_of_another_backbone_is_refused_by_name(index, dataset):
    of_another_backbone(dataset)
    message = "'strange' was taught with rn50-abc, but the index 'detail' is of detail-"
    calls = [
        lambda: index.search("#strange"),
        lambda: index.tag(f"{THING}, -#strange"),
        lambda: index.show_where("#strange"),
        lambda: long_tail(index, dataset, ["#strange"]),
        lambda: classify(index, dataset, ["#strange", "a"], "label"),
        lambda: evaluate(
            dataset, [KEY], "ground_truth",
            prompts={dataset.distinct("ground_truth.detections.label")[0]: "#strange"},
        ),
        lambda: index.teach("other", text="#strange"),
        lambda: index.most_uncertain("#strange"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_concept_fits_all_indexes_of_its_backbone(index, dataset, ids):
    concept = index.teach("it", ids[:2], text=THING)
    for key in (KEY, FEW, f"{KEY}_global"):
        other = DetailIndex(dataset, key)
        assert resolve.fits(other, concept)
        assert resolve.backbone_of(other) == concept.backbone
    assert concept.backbone == index.space.backbone.slug
    assert not resolve.fits(index, replace(concept, backbone=concept.backbone[:-1]))


def test_concepts_wherever_prompts_are(index, dataset, ids):
    """Each does what it does with the vector itself, or with another's prompt."""
    classes = dataset.distinct("ground_truth.detections.label")
    concept = index.teach("red hat", ids[:2], ids[2:3], THING)
    want = index.search(concept.vector, k=None)
    best = want.ids[0]
    left, right = compare(dataset, '#"red hat"', [KEY, f"{KEY}_global"], k=3)
    assert left.found.text == '#"red hat"' and right.found.text == left.found.text
    tagged = index.tag('#"red hat"', "hat", threshold=-9)
    assert tagged.hits == len(dataset)
    dataset.untag_samples("hat")

    rows = long_tail(index, dataset, ['#"red hat"', '"#1"', THING]).finish().rows
    assert {row.prompt for row in rows} == {'#"red hat"', '"#1"', THING}
    (row,) = [row for row in rows if row.prompt.startswith("#")]
    vectors = index.vectors()
    scores = vectors.scores(concept.vector)
    assert row.best_id == vectors.ids[int(scores.argmax())]
    assert len(view(index, dataset, '#"red hat"', -9)) == len(dataset)

    labels = ['#"red hat"', "other: a blue sphere, #\"red hat\""]
    result = classify(index, dataset, labels, "kind").finish()
    assert list(result.counts) == ["red hat", "other"]
    dataset.delete_sample_field("kind")

    named = {classes[0]: '#"red hat"'}
    runs = [
        evaluate(dataset, [KEY], "ground_truth", name, prompts=prompts).finish()
        for name, prompts in (("one", None), ("two", named))
    ]
    asked = [query.prompt for query in runs[1].queries]
    assert asked[0] == '#"red hat"' and asked[1:] == [
        query.prompt for query in runs[0].queries[1:]
    ]
    for name in ("one", "two"):
        dataset.delete_run(name)
    with pytest.raises(ValueError, match="no class 'nothing'"):
        evaluate(dataset, [KEY], "ground_truth", prompts={"nothing": "a"})

    where = index.show_where('#"red hat"', dataset.select([best]))
    again = index.show_where(concept.vector, dataset.select([best]), field="again",
                             heatmap_field="again_heat")
    one = dataset[best]
    assert (where.boxes, where.images) == (again.boxes, again.images)
    assert [d.bounding_box for d in one[where.field].detections] == [
        d.bounding_box for d in one["again"].detections
    ]
    clear_where(dataset, where.field, where.heatmap_field)
    dataset.delete_sample_fields(["again", "again_heat"])

    mixed = examples.mix(index, '#"red hat"', sample_ids=[best])
    same = examples.mix(index, None, sample_ids=[best], vector=concept.vector)
    np.testing.assert_allclose(mixed, same, atol=1e-6)


def test_fiftyones_own_search_says_that_it_knows_none(index, dataset, ids):
    index.teach("helmet", ids[:2], text=THING)
    with pytest.raises(ValueError, match="FiftyOne's own search does not know it"):
        dataset.sort_by_similarity("#helmet", brain_key=KEY, k=3)


def test_what_to_judge_next_is_not_judged_and_not_alike(index, dataset, ids):
    index.teach("it", ids[:2], ids[2:4], THING)
    twins = dataset.add_samples([dataset[id].copy() for id in ids[4:8]])
    try:
        found = index.most_uncertain("#it", k=6)
        assert found.text == "#it" and len(found.ids) == 6
        assert not set(found.ids) & set(ids[:4])
        matrix = index.vectors().matrix
        rows = [index.vectors().ids.index(id) for id in found.ids]
        alike = matrix[rows] @ matrix[rows].T
        assert alike[np.triu_indices(6, 1)].max() < 1 - 1e-5
        again = index.most_uncertain("#it", k=6, positives=found.ids[:3], negatives=[])
        assert not set(again.ids) & set(found.ids[:3])
        few = DetailIndex(dataset, FEW).most_uncertain("#it", dataset.limit(9), 3)
        assert len(few.ids) == 3 and not set(few.ids) & set(ids[:4])
        with pytest.raises(ValueError, match="all 4 images .* are judged: take more"):
            index.most_uncertain("#it", dataset.select(ids[:4]))
        with pytest.raises(ValueError, match="k=0"):
            index.most_uncertain("#it", k=0)
    finally:
        dataset.delete_samples(twins)


def test_a_concept_whose_examples_are_gone_still_finds(index, dataset, ids):
    extra = dataset.add_samples([dataset[ids[0]].copy()])
    index.teach("it", [*extra, ids[1]], text=THING)
    dataset.delete_samples(extra)
    assert len(index.search("#it", k=3).ids) == 3
    assert len(index.most_uncertain("#it", k=3).ids) == 3


def test_what_is_common_is_read_anew_with_the_features(index):
    folder, before = Patches(index)._store.directory, Patches(index).background()
    assert Patches(index).background() is before
    written = folder.stat().st_mtime_ns
    os.utime(folder, ns=(written + 1, written + 1))  # as many, of other files
    assert Patches(index).background() is not before
