"""Where a result says "probably not": of this index, these vectors, this way alone."""

from dataclasses import replace

import numpy as np
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import calibrate, compute_index, update
from detail_embed.fiftyone_bridge.index import lines
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.rename import rename
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.search import likely
from detail_embed.fiftyone_bridge.search.methods import PATCHES, RERANKED, VECTORS
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.texts.query import parse

NONSENSE = ("xqzwv blorp", "gnurfle", "zzkrt vmbl", "ooqua eep", "wrixl")
SETTINGS = Settings(
    backbone=DEMO, cover=4, vectors=4, fuser="gmp", device="cpu", keep_features="int8"
)


@pytest.fixture(scope="module")
def indexed(loaded, tmp_path_factory):
    """The scenes with an index that no test may change."""
    dataset = loaded.clone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(tmp_path_factory.mktemp("data")))
        compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS).finish()
        yield dataset
    dataset.delete()


@pytest.fixture
def own(indexed):
    """A copy of it."""
    copy = indexed.clone()
    yield copy
    copy.delete()


def ask(samples, query, method=PATCHES, k=24, key="detail", **options):
    index = Index.of(samples, key)
    return search(index, samples, query, k, method=method, **options)


def shown(dataset):
    """The words that images show, and these images."""
    found = {}
    for id, labels in zip(*dataset.values(["id", "ground_truth.detections.label"])):
        for label in labels:
            found.setdefault(label, set()).add(id)
    return found


@pytest.mark.parametrize("method", [VECTORS, RERANKED, PATCHES])
@pytest.mark.slow
def test_what_is_there_is_above_the_line_and_nonsense_is_not(indexed, method):
    words = shown(indexed)
    right = [
        bool(set(found.ids[: found.likely]) & ids)
        for word, ids in words.items()
        if (found := ask(indexed, word, method)).likely is not None
    ]
    assert len(right) == len(words) and np.mean(right) > 0.3
    assert [ask(indexed, text, method).likely for text in NONSENSE].count(0) >= 4


def test_it_counts_from_the_first_of_what_is_returned(indexed):
    counts = {word: ask(indexed, word).likely for word in shown(indexed)}
    word, count = max(counts.items(), key=lambda item: item[1])
    assert 1 < count < 24
    assert ask(indexed, word, k=1).likely == 1
    assert ask(indexed, word, threshold=-50.0).likely == count
    assert ask(indexed, parse(f"2 * {word}")).likely == count
    assert ask(indexed, word, threshold=50.0).likely == 0


@pytest.mark.parametrize("method", [VECTORS, PATCHES])
@pytest.mark.slow
def test_what_is_likely_comes_first_and_both_parts_are_in_order(indexed, method):
    moved = 0
    for word in shown(indexed):
        found = ask(indexed, word, method)
        first, rest = found.scores[: found.likely], found.scores[found.likely :]
        assert first == sorted(first, reverse=True)
        assert rest == sorted(rest, reverse=True)
        moved += found.scores != sorted(found.scores, reverse=True)
        assert ask(indexed, word, method, k=3).ids == found.ids[:3]
    assert moved


def test_within_a_view_the_line_is_the_same(indexed):
    words = shown(indexed)
    word = max(words, key=lambda each: ask(indexed, each).likely)
    first = ask(indexed, word).ids[0]
    assert ask(indexed.select(first), word).likely == 1
    rest = ask(indexed.exclude(list(words[word])), word)
    assert rest.likely <= ask(indexed, word).likely


@pytest.mark.parametrize("query", ["a cube, a cone", "a cube, -red", "-a cone, a cube"])
def test_several_prompts_have_no_line(indexed, query):
    assert ask(indexed, query).likely is None


def test_what_else_has_no_line(indexed):
    assert ask(indexed, "a cube", templates="plain").likely is None
    assert ask(indexed, ask(indexed, "a cube").vector).likely is None
    for key in ("detail_single", "detail_global"):
        assert ask(indexed, "a cube", VECTORS, key=key).likely is None


def test_one_vector_has_a_line_only_for_patches(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    settings = Settings(
        backbone=DEMO, cover=2, fuser="mean", device="cpu", keep_features="float16"
    )
    compute_index.compute(Index(dataset, "one"), dataset, settings).finish()
    assert ask(dataset, "a cube", VECTORS, key="one").likely is None
    assert ask(dataset, "a cube", PATCHES, key="one").likely is not None


def test_an_old_index_gets_its_line_by_an_update(own):
    index = Index(own, "detail")
    lines.write(index, index_vectors.load(index), {})
    assert ask(own, "a cube", VECTORS).likely is None
    update.update(index, own).finish()
    assert ask(own, "a cube", VECTORS).likely is not None


def test_a_line_of_another_kind_of_evidence_is_none(own):
    index = Index(own, "detail")
    vectors = index_vectors.load(index)
    known, old = lines.read(index, vectors), dict(index.record.lines)
    assert old.pop("version")
    index.write(replace(index.record, lines=old))
    fresh = index_vectors.IndexVectors(
        vectors.ids, vectors.labels, vectors.starts, vectors.matrix.copy()
    )
    assert known and not lines.read(index, fresh)


def test_other_vectors_have_no_line_until_the_index_is_updated(own):
    index, sample = Index(own, "detail"), own.first()
    vectors = index_vectors.load(index)
    assert set(lines.read(index, vectors)) == {VECTORS, PATCHES}
    matrix = vectors.matrix.copy()
    same, other = (
        index_vectors.IndexVectors(vectors.ids, vectors.labels, vectors.starts, each)
        for each in (matrix.copy(), matrix)
    )
    matrix[5] = matrix[50]
    assert lines.read(index, same) and not lines.read(index, other)
    own.delete_samples([sample.id])
    assert ask(own, "a cube", VECTORS).likely is None
    update.update(index, own).finish()
    assert ask(own, "a cube", VECTORS).likely is not None


def test_the_fingerprint_does_not_depend_on_the_order(indexed):
    vectors = index_vectors.load(Index(indexed, "detail"))
    pieces = [vectors.matrix[vectors.rows(i)] for i in range(23, -1, -1)]
    turned = np.concatenate(pieces)
    sizes = np.diff([*vectors.starts, len(vectors.matrix)])[::-1]
    other = index_vectors.IndexVectors(
        vectors.ids[::-1], None, np.concatenate([[0], np.cumsum(sizes)[:-1]]), turned
    )
    np.testing.assert_allclose(
        lines.fingerprint(other), lines.fingerprint(vectors), atol=1e-3
    )


def test_the_line_goes_with_a_copy_and_a_new_name(indexed, own):
    before = [ask(indexed, "a cube", way).likely for way in (VECTORS, PATCHES)]
    rename(Index(own, "detail"), "other")
    after = [ask(own, "a cube", way, key="other").likely for way in (VECTORS, PATCHES)]
    assert after == before and None not in before


def test_words_that_nobody_encoded_here(indexed, tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(likely, "_words", {})
    assert ask(indexed, "a cube").likely is None


def test_few_images_have_no_line(dataset):
    some = dataset.limit(calibrate._LEAST - 1).clone()
    compute_index.compute(
        Index(some, "few"), some, Settings(
            backbone=DEMO, cover=2, vectors=3, fuser="gmp", device="cpu"
        ),
    ).finish()
    assert ask(some, "a cube", VECTORS, key="few").likely is None
    some.delete()
