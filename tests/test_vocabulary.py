"""Words from files and lists, words held out, and proxies of a real text tower."""

import logging
import subprocess
import sys

import open_clip
import pytest
import torch

from detail_embed.demo import NAME, register
from detail_embed.vocabulary import Vocabulary, is_held_out


class DemoTexts:
    """The demo model's text tower with seeded random weights."""

    def __init__(self):
        register()
        torch.manual_seed(0)
        self.model = open_clip.create_model(NAME).eval()
        self.tokenize = open_clip.get_tokenizer(NAME)

    @torch.no_grad()
    def encode_texts(self, texts):
        return self.model.encode_text(self.tokenize(texts), normalize=True)


@pytest.fixture(scope="module")
def backbone():
    return DemoTexts()


def test_held_out_is_fixed_for_ever():
    words = ["apple", "red metal cube", "Zürich", "tractor", "red cube", "banana"]
    expected = [True, True, True, False, False, False]
    assert [is_held_out(word) for word in words] == expected
    assert not any(is_held_out(word, 0.0) for word in words)
    assert all(is_held_out(word, 1.0) for word in words)


def test_held_out_share_and_nesting():
    words = [f"word {i}" for i in range(4000)]
    for fraction in (0.1, 0.3, 0.45):
        held_out = {word for word in words if is_held_out(word, fraction)}
        assert len(held_out) / len(words) == pytest.approx(fraction, abs=0.03)
        assert held_out <= {w for w in words if is_held_out(w, fraction + 0.1)}


def test_held_out_is_the_same_in_another_process():
    words = [f"word {i}" for i in range(50)]
    code = (
        "from detail_embed.vocabulary import is_held_out\n"
        f"print([is_held_out(w) for w in {words!r}])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str([is_held_out(word) for word in words])


def test_file_is_read(tmp_path, caplog):
    path = tmp_path / "words.txt"
    path.write_bytes(
        "\ufeffred  cube\r\n\n  café \nred cube\n\t\nowl\nowl".encode("utf-8")
    )
    with caplog.at_level(logging.INFO):
        vocabulary = Vocabulary.from_file(path)
    assert vocabulary.words == ("red cube", "café", "owl")
    assert vocabulary.source == str(path) and len(vocabulary) == 3
    assert "left out 2 repeated words" in caplog.text


@pytest.mark.parametrize("content", [b"", b"\n \n\t\n", b"\xef\xbb\xbf"])
def test_file_without_words(tmp_path, content):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="words.txt: no words"):
        Vocabulary.from_file(path)


@pytest.mark.parametrize(
    "content, message",
    [
        ("owl\ncafé\n".encode("latin-1"), "line 2: not UTF-8.*byte 4"),
        ("owl\n".encode("utf-16"), "line 1: not UTF-8"),
        (b"owl\nap\0ple\n", "line 2: binary data"),
    ],
)
def test_file_that_is_no_text(tmp_path, content, message):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_file(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nope.txt"):
        Vocabulary.from_file(tmp_path / "nope.txt")


def test_bad_words():
    with pytest.raises(TypeError, match="not the text 'owl'"):
        Vocabulary.from_words("owl")
    with pytest.raises(TypeError, match="classes: word 1 is None"):
        Vocabulary.from_words(["owl", None], source="classes")
    with pytest.raises(ValueError, match="classes: no words"):
        Vocabulary.from_words(["", "  "], source="classes")


def test_proxies_are_unit_means_of_templates_in_order(backbone, monkeypatch):
    words = [f"thing {i}" for i in range(7)] + ["curly {0} {}"]
    templates = ("a photo of a {}.", "{}")
    vocabulary = Vocabulary.from_words(words)
    proxies = vocabulary.proxies(backbone, templates)
    assert proxies.shape == (8, 256) and proxies.dtype == torch.float32
    for word, proxy in zip(words, proxies, strict=True):
        mean = backbone.encode_texts([f"a photo of a {word}.", word]).double().mean(0)
        torch.testing.assert_close(proxy.double(), mean / mean.norm())
    assert torch.equal(proxies, vocabulary.proxies(backbone, templates))
    monkeypatch.setattr("detail_embed.vocabulary._BATCH", 3)
    torch.testing.assert_close(vocabulary.proxies(backbone, templates), proxies)


@pytest.mark.parametrize("templates", [(), ("a photo",), ("{}", "a photo of {0}")])
def test_bad_templates(backbone, templates):
    with pytest.raises(ValueError, match="templates must hold {}"):
        Vocabulary.from_words(["owl"]).proxies(backbone, templates)
