"""Vectors in mapped files: found as exactly as in memory, added to, and replaced."""

import numpy as np
import pytest

from detail_embed.patch_search import vector_codes, vector_files
from detail_embed.patch_search.vector_files import VectorFiles
from detail_embed.patch_search.vector_part import CODES, Block

DIM, EACH = 64, 3


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _block(first, count, seed=0):
    rng = np.random.default_rng(seed)
    vectors = _unit(rng.normal(size=(count * EACH, DIM))).astype(np.float16)
    ids = [f"{i:024x}" for i in range(first, first + count)]
    rows = range(first * EACH, (first + count) * EACH)
    labels = [f"{row:012x}{seed:012x}" for row in rows]
    return Block(ids, np.full(count, EACH), vectors, labels)


def _exact(block, query):
    scores = (block.vectors.astype(np.float32) @ query).reshape(-1, EACH).max(axis=1)
    order = np.argsort(-scores)
    return [block.ids[i] for i in order], scores[order]


@pytest.fixture
def query():
    return _unit(np.random.default_rng(9).normal(size=(1, DIM)))[0].astype(np.float32)


@pytest.fixture
def coded(monkeypatch):
    monkeypatch.setattr(vector_files, "SCANNED", 1000)
    monkeypatch.setattr(vector_codes, "_DEPTH", 1500)


def _files(folder, *blocks):
    files = VectorFiles.create(folder, "space")
    for block in blocks:
        assert list(files.add([block]))[-1] == len(block.vectors)
    return files


def test_codes_propose_what_is_exact(tmp_path, query, coded):
    block = _block(0, 2000)
    files = _files(tmp_path / "files", block)
    assert (files.parts[0].folder / CODES).is_file()
    ids, scores = _exact(block, query)
    hits = files.search(query, 20)
    assert len(set(files.ids(hits)) & set(ids[:20])) >= 18
    assert np.all(np.diff(hits.scores) <= 0)
    np.testing.assert_allclose(hits.scores[0], scores[0], atol=1e-3)
    matrix, starts, labels = files.read(hits)
    best = np.maximum.reduceat(matrix @ query, starts)
    np.testing.assert_allclose(best, hits.scores, atol=1e-5)
    assert len(labels) == len(matrix) == 20 * EACH
    few = block.ids[100:150]
    hits = files.search(query, 50, few)  # all of theirs are read
    assert files.ids(hits) == [id for id in ids if id in set(few)]
    many = block.ids[:1500]
    hits = files.search(query, 20, many)
    wanted = [id for id in ids if id in set(many)][:20]
    assert len(set(files.ids(hits)) & set(wanted)) >= 18
    assert set(files.ids(hits)) <= set(many)


def test_adding_writes_nothing_anew(tmp_path, query, coded):
    first, second = _block(0, 2000), _block(2000, 40, seed=1)
    files = _files(tmp_path / "files", first)
    old = files.parts[0].folder
    times = {path: path.stat().st_mtime_ns for path in old.iterdir()}
    other = VectorFiles.open(tmp_path / "files")
    state = other.state
    list(files.add([second], note="then"))
    assert {path: path.stat().st_mtime_ns for path in old.iterdir()} == times
    assert other.state != state and len(files) == 2040
    files = VectorFiles.open(tmp_path / "files")
    assert files.note == "then" and len(files) == 2040
    hits = files.search(second.vectors[7].astype(np.float32), 1)
    assert files.ids(hits) == [second.ids[7 // EACH]]


def test_new_vectors_of_an_image_take_the_place_of_its_old(tmp_path, query):
    old, new = _block(0, 50), _block(10, 5, seed=2)
    files = _files(tmp_path / "files", old, new)
    assert len(files) == 50
    hits = files.search(query, 50)
    found = dict(zip(files.ids(hits), hits.scores))
    assert len(found) == len(hits) == 50
    for id, score in zip(*_exact(new, query)):
        assert abs(found[id] - score) < 1e-3
    assert files.held(["f" * 24, new.ids[0]]) == {new.ids[0]: new.labels[:EACH]}
    drawn = files.ids(files.sample(50))
    assert sorted(drawn) == sorted(old.ids)
    assert files.count([new.ids[0], old.ids[0], "f" * 24]) == 2


def test_nothing_added_and_nothing_there(tmp_path):
    files = VectorFiles.create(tmp_path / "files", "space")
    assert list(files.add([], note=1)) == [] and len(files) == 0
    assert VectorFiles.open(tmp_path / "files").note == 1
    assert VectorFiles.open(tmp_path / "none") is None
    (tmp_path / "files" / "vectors.json").write_text("{")
    assert VectorFiles.open(tmp_path / "files") is None


def test_a_byte_a_dimension_ranks_almost_as_the_vectors_do(tmp_path, query):
    block = _block(0, 2000)
    part = _files(tmp_path / "files", block).parts[0]
    rows = np.arange(0, len(part.vectors), 2)
    exact = part.cosines(query, rows)
    kept = part.best(query, rows, 300)
    assert len(kept) == 300 and np.all(np.diff(kept) > 0)
    assert set(rows[np.argsort(-exact)[:250]]) <= set(kept)
    assert np.array_equal(part.best(query, rows, 10**6), rows)


def test_files_of_another_format_are_not_opened(tmp_path):
    """They lack what is read now; an update makes them anew."""
    folder = tmp_path / "files"
    _files(folder, _block(0, 5))
    label = folder / "vectors.json"
    label.write_text(label.read_text().replace('"format": 2', '"format": 1'))
    assert VectorFiles.open(folder) is None
