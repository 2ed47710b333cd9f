"""Words that an index learns from labels, captions and concepts, and forgets."""

import json
import subprocess
import sys

import fiftyone as fo
import numpy as np
import pytest

from detail_embed import clver_ds
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.adapt import word_sources
from detail_embed.fiftyone_bridge.index import facts as index_facts
from detail_embed.fiftyone_bridge.index import learned_words
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fiftyone_bridge.search import query_vectors

NAMES = {"banana": "blorfle", "alarm clock": "quendrix", "anchor": "snurple",
         "guitar": "vatomy", "pizza": "zibbet"}
OLD = ("umbrella", "bicycle")
SETTINGS = {"backbone": "detail-demo", "cover": 3, "fuser": "mean", "vectors": 4,
            "device": "cpu", "keep_features": True}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Scenes whose things have names that no model knows, with an index."""
    folder = tmp_path_factory.mktemp("world")
    known = {concept.name for concept in clver_ds.concepts("things")}
    words = tuple(word for word in (*NAMES, *OLD) if word in known)
    assert len(words) == len(NAMES) + len(OLD)
    clver_ds.generate(
        folder, 48, "things", 256, 5, scales=(0.3, 0.4), objects=(1, 3), words=words
    )
    dataset = load_clver_ds(folder)
    dataset.persistent = True
    for sample in dataset.iter_samples(autosave=True):
        labels = sample["ground_truth"].detections
        for label in labels:
            label.label = NAMES.get(label.label, label.label)
        sample["classes"] = fo.Classifications(
            classifications=[fo.Classification(label=one.label) for one in labels]
        )
        sample["caption"] = " and ".join(f"a {one.label}" for one in labels)
    DetailIndex(dataset, "detail").compute(**SETTINGS)
    yield dataset
    dataset.delete()


@pytest.fixture
def index(world):
    index = DetailIndex(world, "detail")
    yield index
    if index.record.words:
        index.forget_words()


def precision(index, word, asked=None):
    """Average precision of the images that show a word."""
    labels = index.dataset.values("ground_truth.detections.label")
    shown = [word in (some or []) for some in labels]
    shown = dict(zip(index.dataset.values("id"), shown))
    found = np.array([shown[id] for id in index.search(asked or word, k=None).ids])
    ranks = np.flatnonzero(found) + 1
    return (np.arange(1, len(ranks) + 1) / ranks).mean()


@pytest.mark.slow
def test_made_up_words_are_learned_from_boxes_and_forgotten(index):
    record, others = index.record, [index.search(word, k=None).ids for word in OLD]
    vectors = index.vectors().matrix.copy()
    plain = {word: index.search(word, k=None) for word in NAMES.values()}
    before = np.mean([precision(index, word) for word in NAMES.values()])
    result = index.learn_words(field="ground_truth")
    assert result.kept and result.after > result.before + 10
    assert result.source == "the boxes in 'ground_truth'" and result.words >= 5
    assert np.mean([precision(index, w) for w in NAMES.values()]) > before + 0.2
    assert index.record.space == record.space
    assert index.space.slug == index.config.model != record.space
    assert index.space.vector_slug == record.space
    assert (index.vectors().matrix == vectors).all()
    known = index.facts.learned
    assert known == (
        f"{result.words} learned words, from the boxes in 'ground_truth': on held-out "
        f"images mAP {result.before:.1f} before, {result.after:.1f} after"
    )
    index.forget_words()
    assert index.record == record and index.config.model == record.space
    assert [index.search(word, k=None).ids for word in OLD] == others
    for word, found in plain.items():
        again = index.search(word, k=None)
        assert again.ids == found.ids and again.scores == found.scores
    with pytest.raises(ValueError, match="knows no learned words"):
        index.forget_words()


def test_texts_far_from_every_learned_word_stay_bit_for_bit(index):
    plain = index.space
    index.learn_words(field="ground_truth")
    texts = ["a car on a street", "snow", "a photo of the sea"]
    words = index.space.words
    before = plain.encode_texts(texts)
    assert not words.moves(before, texts).any()
    assert (index.space.encode_texts(texts) == before).all()


def test_a_learned_word_is_known_in_a_longer_prompt(index):
    longer = [f"two {word}s on the floor" for word in NAMES.values()]
    plain = [precision(index, w, asked=q) for w, q in zip(NAMES.values(), longer)]
    index.learn_words(field="ground_truth")
    now = [precision(index, w, asked=q) for w, q in zip(NAMES.values(), longer)]
    assert np.mean(now) > np.mean(plain) + 0.15


@pytest.mark.parametrize(("source", "field"), [
    ("labels", "classes"), ("captions", "caption"),
])
def test_classes_of_images_and_captions_teach_too(index, source, field):
    result = index.learn_words(source, field)
    assert result.kept and result.after > result.before + 5
    assert set(NAMES.values()) <= {*index.record.words["known"], *result.worse}


def test_concepts_teach_their_own_texts(index):
    for word in ("blorfle", "zibbet"):
        shown = [
            sample.id for sample in index.dataset
            if word in [d.label for d in sample["ground_truth"].detections]
        ]
        index.teach(f"my {word}", shown[:6], text=word)
    result = index.learn_words("concepts")
    assert result.kept and result.source == "the concepts of this dataset"
    assert index.record.words["known"] == ["blorfle", "zibbet"]


@pytest.mark.slow
def test_a_fresh_python_and_fiftyones_own_search_know_them(index):
    index.learn_words(field="ground_truth")
    ours = index.search("blorfle", k=6, method="vectors").ids
    code = (
        "import json, sys, fiftyone as fo; dataset = fo.load_dataset(sys.argv[1]); "
        "view = dataset.sort_by_similarity('blorfle', k=6, brain_key='detail'); "
        "print(json.dumps(view.values('id')))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, index.dataset.name], capture_output=True,
        text=True, check=True,
    ).stdout
    theirs = json.loads(out.splitlines()[-1])
    assert len(set(theirs) & set(ours)) >= 5
    shown = [
        "blorfle" in [d.label for d in index.dataset[id]["ground_truth"].detections]
        for id in theirs
    ]
    assert sum(shown) >= 5


def test_what_another_process_learned_is_taken_over(index):
    dataset = index.dataset
    dataset.load_brain_results("detail")
    loaded = dict(dataset._brain_cache)  # as another process keeps it
    index.learn_words(field="ground_truth")
    dataset._brain_cache.update(loaded)
    learned_words.forget_outdated(dataset)
    assert "detail" not in dataset._brain_cache
    assert dataset.load_brain_results("detail").config.model == index.config.model
    learned_words.forget_outdated(dataset)
    assert "detail" in dataset._brain_cache


def test_what_is_probably_there_is_not_said_of_learned_words(index):
    index.learn_words(field="ground_truth")
    assert query_vectors.is_learned(index, "two blorfles on the floor")
    assert not query_vectors.is_learned(index, "a car on a street")
    assert index.search("blorfle", k=5).likely is None


def test_updates_and_renames_keep_them(index):
    index.learn_words(field="ground_truth")
    model = index.config.model
    index.update()
    assert index.config.model == model and index.record.words
    index.rename("other")
    assert index.config.model == model and index.record.words
    index.rename("detail")
    assert "blorfle" in index.record.words["known"]


def test_the_facts_of_an_index_without_say_nothing(index):
    assert [facts.learned for facts in index_facts.facts(index.dataset)] == [""] * len(
        index_facts.facts(index.dataset)
    )


def test_what_cannot_be_learned_from_is_named(index):
    dataset = index.dataset
    dataset.set_values("equal", ["the same text"] * len(dataset))
    dataset.set_values("blank", ["  "] * len(dataset))
    dataset.set_values("number", [1.0] * len(dataset))
    dataset.set_values("one", [fo.Classification(label="thing")] * len(dataset))
    labels = [fo.Classification(label=f"class {n}") for n in range(len(dataset))]
    dataset.set_values("single", labels)
    for match, source, field in (
        ("equal: all|'equal': all 48 captions are equal", "captions", "equal"),
        ("'blank' holds no caption", "captions", "blank"),
        ("no field of texts", "captions", "number"),
        ("no field of texts", "captions", "ground_truth"),
        ("no field of Classifications or Detections", "labels", "caption"),
        ("every image shows it", "labels", "one"),
        ("1 of 3 examples that it takes", "labels", "single"),
        ("name the field", "labels", None),
        ("give one of labels, captions, concepts", "videos", None),
    ):
        with pytest.raises(ValueError, match=match):
            index.learn_words(source, field)
    with pytest.raises(ValueError, match="no index of detail-embed"):
        DetailIndex(dataset, "nothing").learn_words(field="ground_truth")
    with pytest.raises(ValueError, match="11 images are too few"):
        index.learn_words(field="ground_truth", samples=dataset.limit(11))
    for name in ("equal", "blank", "number", "one", "single"):
        dataset.delete_sample_field(name)


def test_words_that_examples_do_not_help_change_nothing(index):
    dataset = index.dataset
    rng = np.random.default_rng(0)
    chance = [fo.Classification(label=f"word{n}") for n in rng.integers(0, 4, 48)]
    dataset.set_values("chance", chance)
    result = index.learn_words(field="chance")
    dataset.delete_sample_field("chance")
    assert result.kept == (index.record.words is not None)
    if not result.kept:
        assert "Nothing was changed" in result.verdict


def test_images_are_chosen_until_every_word_has_enough(world):
    told = word_sources.read(world, "labels", "ground_truth", True)
    chosen = word_sources.choose_images(told, 0)
    assert len(chosen) == len(set(chosen)) == len(world)
