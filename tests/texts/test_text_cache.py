"""Encoded vocabularies: right, in order, and encoded once."""

import logging
import multiprocessing

import pytest
import torch

from detail_embed.backbone import Backbone
from detail_embed.storage.user_folders import cache_directory
from detail_embed.texts import text_cache
from detail_embed.texts.templates import encode_queries
from detail_embed.texts.text_cache import encode_vocabulary
from tests.tiny import register_tiny, tiny_backbone, tiny_checkpoint


@pytest.fixture
def backbone(tmp_path, monkeypatch):
    """A small model that counts the texts that it encodes."""
    backbone = tiny_backbone(tmp_path)
    encode = backbone.encode_texts
    backbone.count = 0

    def counted(texts):
        backbone.count += len(texts)
        return encode(texts)

    monkeypatch.setattr(backbone, "encode_texts", counted)
    monkeypatch.setenv("DETAIL_EMBED_CACHE", str(tmp_path / "cache"))
    return backbone


def _files(tmp_path):
    return sorted((tmp_path / "cache").rglob("*.safetensors"))


def test_the_mean_of_templates_in_order(backbone):
    words = ["dog", "cat", " dog", "curly {} {0}", "Zürich", "dog"]
    features = encode_vocabulary(backbone, words)
    assert features.shape == (6, backbone.dim) and features.dtype == torch.float32
    torch.testing.assert_close(features, encode_queries(backbone, words))
    assert torch.equal(features, encode_vocabulary(backbone, words))


def test_only_new_words_are_encoded(backbone, monkeypatch):
    monkeypatch.setattr(text_cache, "_BLOCK", 3)
    words = [f"thing {i}" for i in range(8)]
    first = encode_vocabulary(backbone, words, "plain")
    assert backbone.count == 8
    again = encode_vocabulary(backbone, ["owl", *reversed(words)], "plain")
    assert backbone.count == 9
    assert torch.equal(again[1:].flip(0), first)


def test_every_template_set_has_its_own(backbone):
    encode_vocabulary(backbone, ["owl"], "plain")
    encode_vocabulary(backbone, ["owl"], "simple-7")
    other = encode_vocabulary(backbone, ["owl"], ["one {}"])
    assert backbone.count == 9
    torch.testing.assert_close(other, backbone.encode_texts(["one owl"]))


def test_every_backbone_has_its_own(tmp_path, backbone):
    ours = encode_vocabulary(backbone, ["owl"])
    checkpoint = tiny_checkpoint(tmp_path, seed=1)
    name = register_tiny(tmp_path)
    other = Backbone.load(name, checkpoint, device="cpu")
    assert not torch.allclose(ours, encode_vocabulary(other, ["owl"]))
    coarse = Backbone.load(name, device="cpu", precision="bf16")
    assert coarse.text_precision == "fp32"  # words are exact, whatever images are in
    assert torch.equal(encode_vocabulary(coarse, ["owl"]), ours)
    assert len(_files(tmp_path)) == 2


def test_a_damaged_file_is_made_again(tmp_path, backbone, caplog):
    before = encode_vocabulary(backbone, ["owl", "fox"])
    (file,) = _files(tmp_path)
    file.write_bytes(file.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        assert torch.equal(encode_vocabulary(backbone, ["owl", "fox"]), before)
    assert "damaged" in caplog.text and backbone.count == 16
    encode_vocabulary(backbone, ["owl", "fox"])
    assert backbone.count == 16


def test_a_cache_that_cannot_be_used(tmp_path, backbone, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        features = encode_vocabulary(backbone, ["owl"], cache_dir=tmp_path / "file")
    torch.testing.assert_close(features, encode_queries(backbone, ["owl"]))
    assert "cache of texts cannot be read" in caplog.text


def test_a_full_disk(backbone, monkeypatch, caplog):
    def add(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(text_cache.ChunkStore, "add", add)
    with caplog.at_level(logging.WARNING):
        assert len(encode_vocabulary(backbone, ["owl", "fox"])) == 2
    assert "cannot be written: No space left" in caplog.text


def _encode(folder, words, start):
    torch.set_num_threads(1)  # more cannot be had after a fork
    backbone = tiny_backbone(folder)
    start.wait()
    encode_vocabulary(backbone, words, cache_dir=folder / "cache")


def test_two_processes_at_once(tmp_path, backbone):
    context = multiprocessing.get_context("fork")
    start = context.Barrier(2)
    lists = [[f"thing {i}" for i in range(40)], [f"thing {i}" for i in range(20, 60)]]
    workers = [
        context.Process(target=_encode, args=(tmp_path, words, start))
        for words in lists
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    words = [f"thing {i}" for i in range(60)]
    features = encode_vocabulary(backbone, words, cache_dir=tmp_path / "cache")
    assert backbone.count == 0
    torch.testing.assert_close(features, encode_queries(backbone, words))


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv("DETAIL_EMBED_CACHE")
    assert cache_directory().name == "detail-embed"


def test_bad_words_and_templates(tmp_path, backbone):
    assert encode_vocabulary(backbone, []).shape == (0, backbone.dim)
    with pytest.raises(TypeError, match="'owl'"):
        encode_vocabulary(backbone, "owl")
    with pytest.raises(TypeError, match="7"):
        encode_vocabulary(backbone, ["owl", 7])
    with pytest.raises(ValueError, match="empty"):
        encode_vocabulary(backbone, ["owl", " "])
    with pytest.raises(ValueError, match="must hold {} once"):
        encode_vocabulary(backbone, ["owl"], ["a photo"])
    assert not _files(tmp_path)
