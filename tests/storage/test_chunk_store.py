"""Chunk stores and embedding spaces name their files differently, and say so."""

import json

import numpy as np
import pytest

from detail_embed.space.space_file import read_config
from detail_embed.storage.chunk_store import ChunkStore

VECTORS = np.eye(2, 3, dtype=np.float32)
SPACE = {"slug": "one", "backbone": {"name": "tiny"}, "cover": {"c": 3}}


def fill(folder):
    ChunkStore(folder, "one").add(["a", "b"], VECTORS, VECTORS)
    return folder


def test_a_store_is_opened_again(tmp_path):
    fill(tmp_path)
    assert (tmp_path / "chunks.json").read_text() == '{"slug": "one"}'
    assert not (tmp_path / "space.json").exists()
    found = ChunkStore(tmp_path, "one").load()
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["b"][0], VECTORS[1])


def test_a_store_of_an_older_version_goes_on(tmp_path):
    (fill(tmp_path) / "chunks.json").rename(tmp_path / "space.json")
    ChunkStore(tmp_path, "one").add(["c"], VECTORS[:1], VECTORS[:1])
    assert sorted(ChunkStore(tmp_path, "one").load()) == ["a", "b", "c"]
    assert not (tmp_path / "chunks.json").exists()  # the older version goes on as well
    with pytest.raises(ValueError, match="the space one, not of two"):
        ChunkStore(tmp_path, "two")


def test_a_store_of_another_space_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the space one, not of two"):
        ChunkStore(fill(tmp_path), "two")


def test_vectors_do_not_go_into_a_space(tmp_path):
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    with pytest.raises(ValueError, match="holds an embedding space"):
        ChunkStore(tmp_path, "one")
    assert [path.name for path in tmp_path.iterdir()] == ["space.json"]
    assert read_config(tmp_path) == SPACE


@pytest.mark.parametrize("label", ["chunks.json", "space.json"])
def test_a_store_is_no_space(tmp_path, label):
    (fill(tmp_path) / "chunks.json").rename(tmp_path / label)
    with pytest.raises(ValueError, match="holds finished vectors, not an embedding"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"slug": "one", "cover": {}}'])
def test_a_damaged_space(tmp_path, text):
    (tmp_path / "space.json").write_text(text)
    with pytest.raises(ValueError, match="damaged"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["", "[3]", "{}"])
def test_a_damaged_store(tmp_path, text):
    (fill(tmp_path) / "chunks.json").write_text(text)
    with pytest.raises(ValueError, match="chunks.json is damaged"):
        ChunkStore(tmp_path, "one")


def test_no_space_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ValueError, match="holds no space.json: give a folder"):
            read_config(folder)
