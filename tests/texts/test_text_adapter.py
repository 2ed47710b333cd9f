"""Learned words: what they move, what they leave alone, and how they are saved."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from detail_embed.texts.text_adapter import TextAdapter

NAMES = list("abcdef")
NO_NAMES = ["x"] * 50


def unit(*shape, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def adapter():
    return TextAdapter(NAMES, unit(6, 32), unit(6, 32, seed=1), 0.8)


def test_a_taught_text_becomes_what_it_was_taught(adapter):
    texts = torch.from_numpy(unit(6, 32))
    for names in (NAMES, NO_NAMES[:6]):  # by its words, and by its vector
        moved = adapter(texts, names).numpy()
        assert np.abs((moved * unit(6, 32, seed=1)).sum(1) - 1).max() < 1e-4
        assert adapter.moves(texts, names).all()


def test_a_text_far_from_all_stays_bit_for_bit(adapter):
    others = torch.from_numpy(unit(50, 32, seed=2))
    assert (others @ torch.from_numpy(unit(6, 32)).T).max() < 0.8
    assert not adapter.moves(others, NO_NAMES).any()
    assert (adapter(others, NO_NAMES) == others).all()


def test_a_taught_word_in_a_longer_text_takes_along_what_it_learned():
    words = ["hamsa", "hammer and pick", "pick"]
    texts, taught, other = unit(3, 32), unit(3, 32, seed=1), unit(1, 32, seed=3)
    adapter = TextAdapter(words, texts, taught)
    for text, rows in (
        ("two Hamsas on grass", [0]), ("a hammer and pick, a hamsa", [1, 0]),
        ("a pick", [2]), ("a hamsaic hammer", []), ("", []), ("!!", []),
    ):
        assert adapter.taught_in(text) == rows
        moved = adapter(torch.from_numpy(other), [text]).numpy()
        wanted = other + (taught - texts)[rows].sum(0)
        if rows:
            wanted = wanted / np.linalg.norm(wanted)
        assert np.abs(moved - wanted).max() < 1e-6
        assert adapter.moves(torch.from_numpy(other), [text]).tolist() == [bool(rows)]


def test_the_nearer_the_more_it_is_moved(adapter):
    text, other = map(torch.from_numpy, (unit(6, 32)[:1], unit(1, 32, seed=3)))
    near = F.normalize(torch.cat([text + w * other for w in (0.1, 0.3, 0.5)]))
    moved = adapter(near, NO_NAMES[:3])
    off = 1 - (moved * near).sum(1)
    assert off[0] > off[1] > off[2] > 0
    assert torch.linalg.vector_norm(moved, dim=1).sub(1).abs().max() < 1e-6


def test_two_words_of_one_text_get_the_mean_of_both():
    texts = np.repeat(unit(1, 32), 2, axis=0)
    taught = unit(2, 32, seed=1)
    adapter = TextAdapter(["a", "b"], texts, taught)
    moved = adapter(torch.from_numpy(texts), NO_NAMES[:2]).numpy()
    mean = taught.mean(0) / np.linalg.norm(taught.mean(0))
    assert np.abs(moved @ mean - 1).max() < 1e-4


def test_saved_and_loaded_it_is_the_same(adapter, tmp_path):
    adapter.save(tmp_path / "words")
    again = TextAdapter.load(tmp_path / "words")
    assert (again.hash, again.words, again.dim) == (adapter.hash, tuple(NAMES), 32)
    texts = torch.from_numpy(unit(6, 32))
    assert (again(texts, NAMES) == adapter(texts, NAMES)).all()
    other = TextAdapter(NAMES, unit(6, 32), unit(6, 32, seed=1), 0.81)
    assert other.hash != adapter.hash


def test_a_folder_without_them_or_a_damaged_one_says_so(adapter, tmp_path):
    with pytest.raises(ValueError, match="no learned words in"):
        TextAdapter.load(tmp_path)
    adapter.save(tmp_path)
    facts = tmp_path / "words.json"
    facts.write_text(facts.read_text().replace(adapter.hash, "0" * 12))
    with pytest.raises(ValueError, match="damaged: the vectors are not those"):
        TextAdapter.load(tmp_path)
    (tmp_path / "words.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="are damaged"):
        TextAdapter.load(tmp_path)


@pytest.mark.parametrize(("texts", "taught", "nearness", "match"), [
    (unit(2, 8), unit(2, 8), 1.0, "nearness=1.0"),
    (unit(2, 8), unit(2, 9), 0.9, "give one text and one taught vector"),
    (2 * unit(2, 8), unit(2, 8), 0.9, "texts: rows of length 1"),
    (unit(2, 8), unit(2, 8) * np.nan, 0.9, "taught: some vectors are NaN"),
    (unit(2, 8)[:0], unit(2, 8)[:0], 0.9, "rows .n, d. expected"),
])
def test_what_it_cannot_be_made_of_is_named(texts, taught, nearness, match):
    with pytest.raises(ValueError, match=match):
        TextAdapter(["a", "b"][: len(texts)], texts, taught, nearness)
