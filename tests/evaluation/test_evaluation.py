"""Evaluations of indexes: what a user's own search finds, and bad input."""

import csv
from dataclasses import replace

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

from detail_embed import fusers
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.clver_ds import concepts
from detail_embed.evaluation import ALL, BINS, Evaluation, average_precision, ndcg
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.evaluate import labels, runs
from detail_embed.fiftyone_bridge.evaluate.evaluate_retrieval import evaluate
from detail_embed.fiftyone_bridge.index import records
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fusers import library

KEYS = ["detail", "detail_global"]
FIELD = "ground_truth"
MISSING = 2


@pytest.fixture(scope="module")
def indexed(scenes):
    """The scenes with two indexes; two scenes have no vector."""
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

    dataset = load_clver_ds(scenes)
    settings = Settings(
        backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features=False
    )
    compute_index.compute(
        Index.of(dataset[MISSING:], "detail"),
        dataset[MISSING:],
        settings,
        also_global=True,
    ).finish()
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def evaluation(indexed):
    run = evaluate(indexed, KEYS, FIELD, name="measured", ks=(5, 10))
    steps = list(run)
    assert [s.fraction for s in steps] == sorted(s.fraction for s in steps)
    assert steps[-1].fraction == 1
    return run.result


@pytest.fixture
def clean(indexed):
    """The indexed scenes; what a test evaluates is deleted."""
    before = set(indexed.list_runs())
    yield indexed
    for name in set(indexed.list_runs()) - before:
        indexed.delete_run(name)


def _found(samples, label, brain_key):
    """A class's ids by FiftyOne's own search, then those it does not return."""
    view = samples.sort_by_similarity(label, brain_key=brain_key)
    ids = view.values("id")
    return ids, sorted(set(samples.values("id")) - set(ids))


def _sides(samples):
    """``{class: {sample id: side of its largest box}}``, one by one."""
    sides = {}
    for sample in samples:
        for found in sample[FIELD].detections:
            side = np.sqrt(found.bounding_box[2] * found.bounding_box[3])
            of_class = sides.setdefault(found.label, {})
            of_class[sample.id] = max(side, of_class.get(sample.id, 0))
    return sides


def _expected(found, left, sides, low=0.0, high=1.0):
    """AP and nDCG@10 of one ranking; other sizes are left out."""
    last = len(found)
    places = {i: place for place, i in enumerate(found)} | dict.fromkeys(left, last)
    kept = [i for i in places if i not in sides or low < sides[i] <= high]
    relevant = np.array([[i in sides for i in kept]])
    scores = [[-places[i] for i in kept]]
    return average_precision(scores, relevant)[0], ndcg(scores, relevant)[0]


@pytest.mark.parametrize("brain_key", KEYS)
def test_numbers_are_those_of_fiftyones_own_search(indexed, evaluation, brain_key):
    sides = _sides(indexed)
    assert [q.label for q in evaluation.queries] == sorted(sides)
    m = KEYS.index(brain_key)
    at = [evaluation.metrics.index(name) for name in ("map", "ndcg_10")]
    for q in range(0, len(sides), 4):
        label = sorted(sides)[q]
        found, left = _found(indexed, label, brain_key)
        assert len(left) == MISSING
        for s, (low, high) in enumerate([(0, 1), *zip(BINS, BINS[1:])]):
            expected = _expected(found, left, sides[label], low, high)
            got = evaluation.values[m, q, s, at]
            np.testing.assert_allclose(got, expected, err_msg=f"{label} {low}")
            shown = [low < side <= high for side in sides[label].values()]
            assert evaluation.targets[q, s] == sum(shown)


def test_rows_are_means_with_intervals(evaluation):
    rows = {(row.method, row.words, row.scale): row for row in evaluation.rows}
    assert evaluation.metrics == [
        "map", "map_50", "recall_10", "recall_5", "r_precision", "ndcg_10"
    ]  # fmt: skip
    for m, key in enumerate(KEYS):
        row = rows[key, ALL, ALL]
        assert row.queries == len(evaluation.queries)
        for k, metric in enumerate(evaluation.metrics):
            mean = evaluation.values[m, :, 0, k].mean()
            assert row[metric] == pytest.approx(mean)
            assert row[f"{metric}_low"] <= mean <= row[f"{metric}_high"]
        assert row["map_low"] < row["map_high"]
    for scale in evaluation.scales[1:]:
        s = evaluation.scales.index(scale)
        count = (evaluation.targets[:, s] > 0).sum()
        row = rows.get(("detail", ALL, scale))
        assert (row.queries if row else 0) == count
    groups = {c.name: c for c in concepts()}
    for query in evaluation.queries:
        concept = groups[query.prompt]
        word = "unseen" if concept.unseen else "held-out"
        assert query.words == ("proxy" if concept.is_proxy else word)
    assert set(evaluation.words) > {ALL, "proxy"}


def test_samples_without_a_vector_are_ranked_last_and_told(evaluation):
    assert evaluation.images == 24
    assert evaluation.missing == dict.fromkeys(KEYS, MISSING)
    assert len(evaluation.notes) == 2 and "2 of 24" in evaluation.notes[0]


def test_two_indexes_are_compared_query_by_query(evaluation):
    gain = evaluation.compare("detail_global", "detail")
    per_query = evaluation.values[0, :, 0, 0] - evaluation.values[1, :, 0, 0]
    assert gain.mean == pytest.approx(per_query.mean())
    assert gain.low < gain.mean < gain.high
    assert gain.queries == len(evaluation.queries)
    assert evaluation.compare("detail", "detail")[:3] == (0, 0, 0)
    for wrong in ({"metric": "f1"}, {"scale": "1-2"}, {"words": "rare"}):
        with pytest.raises(ValueError, match="was not measured"):
            evaluation.compare(*KEYS, **wrong)
    with pytest.raises(ValueError, match="'other' was not measured"):
        evaluation.compare("detail", "other")


def test_an_evaluation_is_kept_in_the_dataset(indexed, evaluation):
    assert "measured" in runs.names(indexed)
    info = indexed.get_run_info("measured")
    assert info.config.brain_keys == KEYS and info.config.label_field == FIELD
    indexed.clear_cache()
    loaded = runs.load(indexed, "measured")
    assert isinstance(loaded, Evaluation)
    np.testing.assert_array_equal(loaded.values, evaluation.values)
    np.testing.assert_array_equal(loaded.targets, evaluation.targets)
    assert repr(loaded.rows) == repr(evaluation.rows)  # repr: NaN equals NaN
    assert loaded.queries == evaluation.queries
    assert loaded.facts == evaluation.facts
    assert set(loaded.facts) == {
        "name", "date", "seconds", "models", "versions", "left_out"
    }
    stored = indexed.load_run_results("measured").evaluation
    assert stored["rows"][0]["method"] == "detail"
    assert stored["rows"][0]["map"] == evaluation.rows[0].map
    assert stored["classes"][0]["label"] == evaluation.queries[0].label


def test_evaluations_are_deleted_alone(clean):
    evaluate(clean, "detail", FIELD).finish()
    evaluate(clean, "detail", FIELD).finish()
    assert {"retrieval", "retrieval_2"} < set(runs.names(clean))
    runs.delete(clean, "retrieval")
    assert "retrieval" not in clean.list_runs()
    assert "detail" in clean.list_runs()
    for forbidden in ("detail", "retrieval"):
        with pytest.raises(ValueError, match="no evaluation"):
            runs.delete(clean, forbidden)
        with pytest.raises(ValueError, match="no evaluation"):
            runs.load(clean, forbidden)


def test_files(evaluation, tmp_path):
    files = evaluation.export(tmp_path / "new", "measured")
    assert [f.name for f in files] == [
        "measured.csv", "measured_classes.csv", "measured.png"
    ]  # fmt: skip
    with open(files[0], encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(evaluation.rows)
    assert float(lines[0]["map_low"]) == pytest.approx(
        evaluation.rows[0]["map_low"], abs=1e-6
    )
    with open(files[1], encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(evaluation.classes)
    with pytest.raises(ValueError, match="cannot write to the folder"):
        evaluation.export(files[0], "measured")


def test_of_a_view_its_images_are_ranked(clean):
    view = clean[4:16]
    result = evaluate(view, KEYS, FIELD).finish()
    assert result.images == 12 and result.missing == dict.fromkeys(KEYS, 0)
    label = result.queries[0].label
    expected = _expected(*_found(view, label, "detail"), _sides(view)[label])[0]
    assert result.values[0, 0, 0, 0] == pytest.approx(expected)
    assert "recall_50" not in result.metrics


def test_an_index_whose_vectors_were_shifted_is_read_anew(clean, evaluation):
    duplicates = fob.compute_near_duplicates(clean, similarity_index="detail")
    duplicates.find_duplicates(fraction=0.2)
    clean.load_brain_results("detail").sort_by_similarity(clean.last().id, k=3)
    again = evaluate(clean, KEYS, FIELD, ks=(5, 10)).finish()
    clean.clear_cache()
    np.testing.assert_array_equal(again.values, evaluation.values)
    assert repr(again.rows) == repr(evaluation.rows)


def test_classifications_have_no_scales(clean, tmp_path):
    kinds = [fo.Classification(label=f"kind_{i % 3}") for i in range(24)]
    clean.set_values("kind", [None, *kinds[1:]])
    clean.set_values("kinds", [fo.Classifications(classifications=[k]) for k in kinds])
    one = evaluate(clean, "detail", "kind").finish()
    assert one.scales == [ALL] and one.targets[:, 0].tolist() == [7, 8, 8]
    assert [q.prompt for q in one.queries] == ["kind 0", "kind 1", "kind 2"]
    many = evaluate(clean, "detail", "kinds").finish()
    assert many.targets[:, 0].tolist() == [8, 8, 8]
    shown = dict.fromkeys(clean.values("id")[1::3], 1)
    expected = _expected(*_found(clean, "kind 1", "detail"), shown)[0]
    assert many.values[0, 1, 0, 0] == pytest.approx(expected)
    assert len(many.export(tmp_path, "kinds")) == 2
    clean.delete_sample_fields(["kind", "kinds"])


def test_the_words_that_a_fuser_knows_are_told_apart(dataset):
    labels = dataset.distinct(f"{FIELD}.detections.label")
    known = ["red cube", f"{labels[0].title()}s", labels[2]]
    settings = Settings(
        backbone=DEMO, cover=1, fuser="ridge", proxies=known, keep_features=False
    )
    compute_index.compute(Index(dataset, "detail"), dataset, settings).finish()
    result = evaluate(dataset, "detail", FIELD).finish()
    told = {q.label for q in result.queries if q.words == "proxy"}
    assert told == {labels[0], labels[2]}
    assert {"held-out", "proxy"} <= {q.words for q in result.queries}
    fuser = Settings(
        backbone=DEMO, cover=1, fuser="ridge", proxy_field=FIELD, keep_features=False,
    )
    compute_index.compute(Index(dataset, "classes"), dataset, fuser).finish()
    result = evaluate(dataset, ["classes"], FIELD).finish()
    assert {q.words for q in result.queries} == {"proxy"}


def test_what_a_trained_fuser_knows_is_known_until_it_is_deleted(
    clean, tmp_path, monkeypatch
):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path))
    facts = library.TrainedFacts(
        name="drones", kind="mean", patch_slug="any", words=["red cube"],
        vocabulary="words", images=10, config={}, history=[],
    )
    library.save(fusers.create("mean", 8), facts)
    record = records.read(clean, "detail")
    identity = record.identity | {"fuser": "drones"}
    records.write(clean, "detail", replace(record, identity=identity))
    classes = ["red cube", "x"]
    indexes = [Index(clean, key) for key in ("detail_global", "detail")]
    assert labels.word_groups(indexes, classes) == ["proxy", "held-out"]
    library.delete("drones")
    assert labels.word_groups(indexes, classes) == [ALL, ALL]
    records.write(clean, "detail", record)


@pytest.fixture
def foreign(clean):
    """Indexes that are not ours: of images, of boxes, and one without a model."""
    model = clean.get_brain_info("detail").config.model
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(24, 256))
    boxes = {
        sample.id: rng.normal(size=(len(sample[FIELD].detections), 256))
        for sample in clean
    }
    fob.compute_similarity(clean, embeddings=vectors, model=model, brain_key="images")
    fob.compute_similarity(
        clean, patches_field=FIELD, embeddings=boxes, model=model, brain_key="boxes"
    )
    fob.compute_similarity(clean, embeddings=vectors, brain_key="mute")
    fob.compute_visualization(clean, embeddings=vectors, method="pca", brain_key="map")
    yield clean
    for key in ("images", "boxes", "mute", "map"):
        clean.delete_brain_run(key)


@pytest.mark.parametrize("brain_key", ["images", "boxes"])
def test_indexes_of_others_and_of_boxes(foreign, brain_key):
    result = evaluate(foreign, brain_key, FIELD).finish()
    assert result.missing == {brain_key: 0}
    sides = _sides(foreign)
    for q in range(0, len(sides), 8):
        label = result.queries[q].label
        expected = _expected(*_found(foreign, label, brain_key), sides[label])[0]
        assert result.values[0, q, 0, 0] == pytest.approx(expected), label


@pytest.mark.parametrize(
    "brain_keys, message",
    [
        ([], "at least one"),
        ("nothing", "unknown brain key 'nothing'.*'detail'"),
        (["detail", "mute"], "'mute' cannot be searched by text.*'detail'"),
        ("map", "'map' cannot be searched by text"),
    ],
)
def test_brain_keys_that_cannot_be_searched(foreign, brain_keys, message):
    with pytest.raises(ValueError, match=message):
        evaluate(foreign, brain_keys, FIELD)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"label_field": "background"}, r"'background' is no field of.*\['empty', 'gr"),
        ({"label_field": "nowhere"}, "'nowhere' is no field"),
        ({"label_field": "empty"}, "'empty' holds no labels"),
        ({"ks": [10, 25]}, "from 1 to 24.*not 25"),
        ({"ks": [0]}, "not 0"),
        ({"ks": [2.5]}, "whole number"),
        ({"name": "two words"}, "name 'two words': use letters"),
        ({"name": "detail"}, "name 'detail' belongs to another run.*'retrieval'"),
        ({"name": "measured"}, "name 'measured' belongs"),
        ({"bins": [0.5]}, "bins"),
        ({"bins": [0.5, 0.2]}, "bins"),
        ({"bins": [0, 30, 100]}, "bins"),
        ({"confidence": 95}, "confidence"),
    ],
)
def test_what_cannot_be_evaluated_is_said_at_once(clean, evaluation, wrong, message):
    clean.add_sample_field(
        "empty", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
    )
    with pytest.raises(ValueError, match=message):
        evaluate(clean, **({"brain_keys": "detail", "label_field": FIELD} | wrong))


def test_samples_that_cannot_be_evaluated(clean):
    with pytest.raises(ValueError, match="no samples"):
        evaluate(clean.limit(0), "detail", FIELD)


def test_one_class_only(clean):
    label = clean.distinct(f"{FIELD}.detections.label")[0]
    is_it = fo.ViewField("label") == label
    view = clean.filter_labels(FIELD, is_it, only_matches=False)
    result = evaluate(view, "detail", FIELD).finish()
    assert len(result.queries) == 1 and "Only one class" in result.notes[-1]
    assert np.isnan(result.rows[0]["map_low"])
    assert runs.load(clean, "retrieval").notes == result.notes
    with pytest.raises(ValueError, match="every image shows every class"):
        evaluate(clean.filter_labels(FIELD, is_it), "detail", FIELD).finish()


def test_an_index_that_was_never_finished(clean):
    info = clean.get_brain_info("detail")
    info.config.build().register_run(clean, "unfinished", overwrite=False)
    try:
        with pytest.raises(ValueError, match="'unfinished' holds no vectors"):
            evaluate(clean, "unfinished", FIELD).finish()
        assert not set(runs.names(clean)) - {"measured"}
    finally:
        clean.delete_brain_run("unfinished")


def test_labels_with_odd_boxes_and_names(dataset):
    from detail_embed.fiftyone_bridge.evaluate import labels

    first, second = dataset[:2]
    first[FIELD].detections = [
        fo.Detection(label="a", bounding_box=[0, 0, 0, 0]),
        fo.Detection(label="b", bounding_box=[-1, 0, 3, 3]),
        fo.Detection(label="b", bounding_box=[0, 0, 0.1, 0.4]),
        fo.Detection(bounding_box=[0, 0, 1, 1]),
    ]
    second[FIELD] = None
    first.save(), second.save()
    read = labels.read(dataset.select([first.id, second.id]), FIELD)
    assert read.classes == ["a", "b"]
    assert 0 < read.scale(0)[0] < 0.001 and read.scale(1).tolist() == [1, 0]
    assert labels.prompt("traffic_light_ _red") == "traffic light red"
    assert labels.prompt("_") == "_"
