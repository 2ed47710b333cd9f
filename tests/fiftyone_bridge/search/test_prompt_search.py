"""Search by prompts on a real dataset: orders, scores, thresholds, bad input."""

import dataclasses
import json

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.curate.tag_hits import tag_hits
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.feature_stores import open_store
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.index_vectors import _VIEWS
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.private_names import serialized
from detail_embed.fiftyone_bridge.search import found as found_images
from detail_embed.fiftyone_bridge.search import search as searching
from detail_embed.fiftyone_bridge.search.methods import (
    METHODS,
    PATCHES,
    RERANKED,
    methods,
)
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.texts.query import parse
from detail_embed.texts.score_summary import standardise

SETTINGS = Settings(
    backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features="float16"
)
THING = "red metal cube"


@pytest.fixture
def indexed(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS).finish()
    return dataset


@pytest.fixture
def few(dataset):
    settings = Settings(
        backbone=DEMO, cover=2, vectors=3, device="cpu", fuser="gmp",
        keep_features=False,
    )
    compute_index.compute(Index(dataset, "few"), dataset, settings).finish()
    return dataset


def ask(samples, query, *args, key="detail", **options):
    options = {"method": "vectors"} | options
    return search(Index.of(samples, key), samples, query, *args, **options)


@pytest.mark.parametrize("k", [1, 7, 1000])
@pytest.mark.slow
def test_one_plain_prompt_finds_what_fiftyone_finds(indexed, k):
    native = indexed.sort_by_similarity(THING, brain_key="detail", k=k)
    answer = ask(indexed, THING, k)
    assert answer.ids == native.values("id")
    ids, scores = answer.view.values(["id", "detail_score"])
    assert ids == answer.ids and scores == [round(s, 4) for s in answer.scores]
    assert answer.scores == sorted(answer.scores, reverse=True)
    assert answer.searched == len(indexed) and answer.missing == 0


def test_k_vectors_find_what_fiftyone_finds(few):
    native = few.sort_by_similarity(THING, brain_key="few", k=72)
    answer = ask(few, THING, 1000, key="few")
    by_score = sorted(zip(answer.scores, answer.ids), reverse=True)
    assert [id for _, id in by_score] == native.values("id")


def test_within_a_view(indexed):
    view = indexed.skip(3).limit(9)
    native = view.sort_by_similarity(THING, brain_key="detail", k=5)
    answer = ask(view, THING, 5)
    assert answer.ids == native.values("id")
    assert answer.searched == 9


def test_foreign_index_of_the_same_model(indexed):
    model = indexed.get_brain_info("detail").config.model
    vectors = np.stack(indexed.values("detail_embedding"))
    fob.compute_similarity(
        indexed, embeddings=vectors, model=model, brain_key="other"
    )
    assert ask(indexed, THING, 9, key="other").ids == ask(indexed, THING, 9).ids


def test_but_not_moves_images_down(indexed):
    of = ask(indexed, f"{THING}, blue cube", k=1000)
    off = ask(indexed, f"{THING}, -blue cube", k=1000)
    blue = ask(indexed, "blue cube", k=1).ids[0]
    assert off.ids.index(blue) > of.ids.index(blue)
    again = ask(indexed, parse(f"{THING}, -blue cube"), k=1000
    )
    assert again.ids == off.ids


def test_threshold_counts_and_cuts(indexed):
    everything = ask(indexed, THING, k=1000)
    threshold = float(np.median(everything.z_scores))
    cut = ask(indexed, THING, k=1000, threshold=threshold
    )
    assert cut.above == sum(z >= threshold for z in everything.z_scores)
    assert cut.ids == everything.ids[: cut.above]
    assert cut.above == cut.histogram.above(threshold)
    assert ask(indexed, THING, k=1, threshold=threshold).ids == cut.ids
    none = ask(indexed, THING, threshold=50.0)
    assert none.ids == [] and none.above == 0 and len(none.view) == 0
    assert sum(everything.histogram.counts) == len(indexed)


def test_templates_change_the_query(indexed):
    own, plain = (
        ask(indexed, THING, templates=name).vector for name in ("own", "plain")
    )
    assert 0.5 < own @ plain < 0.9999


def test_by_patches_is_exact(indexed):
    exact = ask(indexed, THING,
        k=24,
        method=RERANKED,
        candidates=1.0,
    )
    answer = ask(indexed, THING, k=24, method=PATCHES)
    store = open_store(Index(indexed, "detail"))
    best = [float((store.features(id) @ answer.vector).max()) for id in answer.ids]
    assert answer.ids == exact.ids
    np.testing.assert_allclose(answer.scores, best, atol=1e-4)
    np.testing.assert_array_equal(answer.scores, exact.scores)
    for part in (answer.scores[: answer.likely], answer.scores[answer.likely :]):
        assert part == sorted(part, reverse=True)
    assert answer.boxes == exact.boxes and len(answer.boxes[0]) == 4
    assert methods(Index(indexed, "detail")) == list(METHODS)


def test_too_many_patches_are_refused(indexed, monkeypatch):
    monkeypatch.setattr(searching, "MOST", 10)
    with pytest.raises(ValueError, match="24 images, of 10 at most"):
        ask(indexed, THING, method=PATCHES)
    assert len(
        ask(indexed, THING, k=2, method=RERANKED).ids
    ) == 2


def test_only_candidates_are_found_by_their_patches(indexed):
    first = ask(indexed, THING, k=6).ids
    exact = ask(indexed, THING, k=24, method=PATCHES
    ).ids
    found = ask(indexed, THING, k=2, method=RERANKED, candidates=6
    )
    assert found.ids == [id for id in exact if id in first][:2]
    by_default = ask(indexed, THING, k=2, method=RERANKED
    )  # 4 k of them
    first = ask(indexed, THING, k=8).ids
    assert by_default.ids == [id for id in exact if id in first][:2]
    assert by_default.searched == 24


@pytest.mark.parametrize("method", ["vectors", RERANKED, PATCHES])
@pytest.mark.parametrize("start, stop", [(0, 24), (3, 10), (7, 8)])
@pytest.mark.slow
def test_a_z_score_means_the_same_everywhere(indexed, method, start, stop):
    """Of an image, in any view, by any method, and for what is tagged."""
    vectors = index_vectors.load(Index(indexed, "detail"))
    everywhere = ask(indexed, THING, k=1000)
    z = dict(zip(vectors.ids, standardise(vectors.scores(everywhere.vector))))
    view = indexed[start:stop]
    found = ask(view, THING, k=1000, method=method)
    assert dict(zip(found.ids, found.z_scores)) == {id: z[id] for id in found.ids}
    assert sorted(found.ids) == sorted(view.values("id"))
    threshold = sorted(z.values())[12]
    cut = ask(view, THING,
        k=1000,
        threshold=threshold,
        method=method,
    )
    above = {id for id in view.values("id") if z[id] >= threshold}
    assert set(cut.ids) == above and cut.above == len(above)
    tagged = tag_hits(Index.of(view, "detail"), view, THING, threshold, "t")
    assert tagged.hits == len(above)
    assert set(indexed.match_tags("t").values("id")) == above


def test_a_small_view_can_reach_a_high_z_score(indexed):
    vectors = np.zeros((24, 256), np.float32)
    vectors[:, 1] = 1
    query = ask(indexed, THING).vector
    vectors[0] = query
    for sample, vector in zip(indexed, vectors):
        sample["detail_embedding"] = vector
        sample.save()
    best = indexed.first().id
    found = ask(indexed[:7], THING, threshold=2.5)
    assert found.ids == [best] and found.z_scores[0] > 4


def test_images_without_stored_patches_follow_those_that_have(indexed, tmp_path):
    more = [fo.Sample(filepath=path) for path in indexed[:3].values("filepath")]
    indexed.add_samples(more)
    for sample, vector in zip(more, indexed[:3].values("detail_embedding")):
        sample["detail_embedding"] = vector
        sample.save()
    bare = dataclasses.replace(SETTINGS, keep_features=False)
    compute_index.compute(Index(indexed, "detail"), indexed, bare).finish()
    found = ask(indexed, THING, k=1000, method=PATCHES)
    bare = [sample.id for sample in more]
    assert set(found.ids[:24]) == set(indexed[:24].values("id"))
    assert set(found.ids[24:]) == set(bare)
    assert found.scores[24:] == found.boxes[24:] == [None] * 3
    assert all(np.isfinite(found.z_scores))
    with pytest.raises(ValueError, match="no patch features are stored for these 3"):
        ask(indexed.select(bare), THING, method=RERANKED)


def test_new_and_deleted_samples_are_noticed(indexed, scenes):
    first = ask(indexed, THING, k=1000)
    indexed.delete_samples(first.ids[:2])
    second = ask(indexed, THING, k=1000)
    assert second.ids == first.ids[2:]
    sample = fo.Sample(filepath=indexed.first().filepath)
    indexed.add_sample(sample)
    third = ask(indexed, THING, k=1000)
    assert third.ids == second.ids and third.missing == 1
    compute_index.compute(Index(indexed, "detail"), indexed, SETTINGS).finish()
    assert sample.id in ask(indexed, THING, k=1000).ids


def test_a_search_for_duplicates_changes_nothing(indexed):
    before = ask(indexed, THING, k=1000)
    fob.compute_near_duplicates(indexed, similarity_index="detail", threshold=0.1)
    assert ask(indexed, THING, k=1000).ids == before.ids


def test_vectors_stay_in_memory(indexed):
    first = index_vectors.load(Index(indexed, "detail"))
    assert index_vectors.load(Index(indexed, "detail")) is first
    sample = indexed.first()
    sample["detail_embedding"] = -np.asarray(sample["detail_embedding"])
    sample.save()
    assert index_vectors.load(Index(indexed, "detail")) is not first


def test_views_stay_in_memory_until_a_sample_changes(indexed):
    view = indexed.match_tags("mine")
    indexed[:3].tag_samples("mine")
    assert set(ask(view, THING).ids) == set(indexed[:3].values("id"))
    vectors = index_vectors.load(Index(indexed, "detail"))
    assert vectors.members(view) is vectors.members(indexed.match_tags("mine"))
    assert vectors.members(indexed).without == 0
    indexed[3:4].tag_samples("mine")
    indexed.add_sample(fo.Sample(filepath="/no/vector.jpg", tags=["mine"]))
    answer = ask(view, THING)
    assert set(answer.ids) == set(indexed[:4].values("id")) and answer.missing == 1


def test_only_so_many_views_stay_in_memory(indexed):
    vectors = index_vectors.load(Index(indexed, "detail"))
    first = vectors.members(indexed[:1])
    for stop in range(2, 2 + _VIEWS):
        assert vectors.members(indexed[:stop]).rows.tolist() == list(range(stop))
    assert vectors.members(indexed[:1]) is not first
    assert len(vectors._members) == _VIEWS


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"query": "  "}, "empty"),
        ({"query": "-a bicycle"}, "add what you are looking for"),
        ({"query": 'a "cube'}, "not closed"),
        ({"query": "x" * 10_001}, "10,000"),
        ({"query": THING, "k": 0}, "k=0"),
        ({"query": THING, "threshold": float("nan")}, "threshold"),
        ({"query": THING, "method": "magic"}, "method"),
        ({"query": THING, "templates": "mine"}, "templates"),
        ({"query": THING, "key": "nope"}, "nope"),
        ({"query": np.ones(3, np.float32)}, "dimensions"),
    ],
)
@pytest.mark.slow
def test_bad_input(indexed, arguments, message):
    with pytest.raises(ValueError, match=message):
        ask(indexed, **arguments)


@pytest.mark.parametrize("text", ["🚲 خوذة حمراء", "עברית", '"quoted, text"', "é\n\tb"])
@pytest.mark.slow
def test_any_text_finds_something(indexed, text):
    assert len(ask(indexed, text, k=3).ids) == 3


def test_images_without_vectors(indexed):
    indexed.add_sample(fo.Sample(filepath=indexed.first().filepath))
    with pytest.raises(ValueError, match="has a vector"):
        ask(indexed.skip(24), THING)


def test_model_that_is_not_here(indexed):
    results = indexed.load_brain_results("detail")
    results.config.model = "of-another-machine"
    results.save_config()
    with pytest.raises(ValueError, match="cannot be loaded on this machine"):
        ask(indexed, THING)


def test_the_places_are_labels_of_the_view_alone(indexed):
    found = ask(indexed, "$where it: is", k=5, method=PATCHES)
    view = found.view
    assert view.values("detail_match.detections.label") == [["$where it: is"]] * 5
    boxes = [[box] for box in found.boxes]
    assert view.values("detail_match.detections.bounding_box") == boxes
    assert view.first().detail_match.detections[0].confidence <= 1
    assert not indexed.exists("detail_match")
    close_ups = found.patches()
    assert close_ups.values("sample_id") == found.ids
    assert close_ups.values("detail_match.bounding_box") == found.boxes
    scheme = indexed.app_config.color_scheme.fields
    assert [entry["path"] for entry in scheme] == ["detail_match"]


def test_of_very_many_images_the_best_have_scores_and_places(indexed, monkeypatch):
    for module in (searching, found_images):
        monkeypatch.setattr(module, "DRAWN", 4)
    found = ask(indexed, THING, k=9, method=PATCHES)
    view = found.view
    assert view.values("id") == found.ids and len(found.ids) == 9
    drawn = [score is not None for score in view.values("detail_score")]
    assert drawn == [box is not None for box in found.boxes] == [True] * 4 + [False] * 5
    assert view.exists("detail_match").values("id") == found.ids[:4]
    assert found.patches().values("sample_id") == found.ids[:4]


@pytest.mark.parametrize("prompts", [1, 3])
def test_a_long_text_is_no_load_for_the_view(indexed, prompts):
    text = ", ".join(f"{THING} {i} {'of wood ' * 150}" for i in range(prompts))
    found = ask(indexed, text, k=24, method=PATCHES)
    assert len(found.view.values("detail_match.detections.label")) == 24
    stages = json.dumps(serialized(found.view))
    assert stages.count("of wood") < 150 * 24


def test_a_few_vectors_know_where(few):
    found = ask(few, THING, k=6, key="few")
    assert found.method == "vectors" and None not in found.boxes
    for id, box in zip(found.ids, found.boxes):
        detections = few[id].few_patches.detections
        best = max(detections, key=lambda one: float(one.vector @ found.vector))
        assert best.bounding_box == box
    assert "few_patches" not in few.app_config.active_fields.paths
    assert "ground_truth" in few.app_config.active_fields.paths


def test_one_vector_does_not_know_where(indexed):
    found = ask(indexed, THING, k=3)
    assert found.boxes == [None] * 3 and not found.view.exists("detail_match")
    with pytest.raises(ValueError, match="keep patch features, or a few vectors"):
        found.patches()


def test_scores_of_the_users_are_left_alone(few):
    copy = few.clone()
    if copy.has_field("detail_score"):
        copy.delete_sample_field("detail_score")
    copy.add_sample_field("detail_score", fo.FloatField)
    copy.set_values("detail_score", [7.0] * len(copy))
    view = ask(copy, THING, k=3, key="few").view
    assert view.values("detail_score") == [7.0] * 3
    assert len(view.exists("detail_match")) == 3
    view.save()
    assert copy.values("detail_score") == [7.0] * len(copy)
    copy.delete()


def test_a_field_of_an_earlier_search_is_taken_for_ours(few):
    copy = few.clone()
    if copy.has_field("detail_score"):
        copy.delete_sample_field("detail_score")
    ask(copy, THING, k=3, key="few").view  # noqa: B018
    copy.get_field("detail_score").info = None
    copy.get_field("detail_score").save()
    found = ask(copy, THING, k=3, key="few")
    assert found.view.values("detail_score") == [round(s, 4) for s in found.scores]
    copy.delete()


@pytest.mark.parametrize("change", [
    lambda view: view.select_fields(),
    lambda view: view.select_fields("ground_truth"),
    lambda view: view.exclude_fields(["detail_score", "detail_match"]),
])
@pytest.mark.slow
def test_a_view_of_some_fields_shows_those(few, change):
    ask(few, THING, k=3, key="few").view  # noqa: B018
    samples = change(few.view())
    found = ask(samples, THING, k=3, key="few")
    assert found.view.values("id") == found.ids
    assert found.view.get_field_schema().keys() == samples.get_field_schema().keys()
    assert 0 < len(found.patches())


def test_a_field_of_the_users_is_left_alone(few):
    copy = few.clone()
    if copy.has_field("detail_match"):
        copy.delete_sample_field("detail_match")
    copy.add_sample_field("detail_match", fo.StringField)
    copy.set_values("detail_match", ["mine"] * len(copy))
    found = ask(copy, THING, k=3, key="few")
    assert found.view.values("detail_match") == ["mine"] * 3
    copy.delete()
