"""Words from lists, files, classes and the package; words set apart."""

import logging
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.texts.vocabulary import NOUNS, Vocabulary
from detail_embed.texts.wordings import base_form, class_wordings, is_held_out


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
        "from detail_embed.texts.vocabulary import is_held_out\n"
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


def test_the_packaged_nouns():
    words = Vocabulary.nouns().words
    assert 8_000 <= len(words) <= 12_000
    assert NOUNS.stat().st_size < 300_000
    assert "".join(f"{word}\n" for word in words).encode() == NOUNS.read_bytes()
    assert all(re.fullmatch(r"[a-z]+([ '-][a-z]+)*", word) for word in words)
    assert {len(word.split()) for word in words} == {1, 2, 3}
    seen = (
        "dog car tree house table book person umbrella bicycle airplane pizza banana "
        "mountain cloud shoe chair lamp zebra tractor lighthouse"
    ).split()
    phrases = [
        "fire hydrant", "traffic light", "stop sign", "teddy bear", "wine glass",
        "traffic cone", "baseball bat", "polar bear", "hot-air balloon",
    ]
    assert set(seen + phrases) <= set(words)
    unseen = (
        "idea love democracy time way reason year problem paris london george john "
        "canis rosaceae sodium methane internet must nigger bitch fuck"
    ).split()
    assert not set(unseen) & set(words)
    assert words.index("car") < words.index("tractor") < words.index("narwhal")


def test_the_most_frequent_nouns():
    assert Vocabulary.nouns(100).words == Vocabulary.nouns().words[:100]
    assert len(Vocabulary.nouns(10**6)) == len(Vocabulary.nouns())
    with pytest.raises(ValueError, match="limit must be at least 1, not 0"):
        Vocabulary.nouns(0)


def test_the_licence_lies_beside_the_nouns():
    text = NOUNS.with_name("NOUNS_LICENSE.md").read_text("utf-8")
    assert "Princeton University" in text and "AS IS" in text


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "red_metal_cube",
            ["red metal cube", "red", "metal", "cube", "metal cube"],
        ),
        ("TrafficLight", ["Traffic Light", "traffic light", "traffic", "light"]),
        ("hot-dog", ["hot dog", "hot", "dog"]),
        ("USBStick", ["USB Stick", "usb stick", "usb", "stick"]),
        ("man with a hat", ["man with a hat", "man", "hat"]),
        ("tv of dad", ["tv of dad", "dad"]),
        ("7", ["7"]),
        ("__", ["__"]),
    ],
)
def test_wordings_and_parts_of_a_class(name, expected):
    wordings, parts = class_wordings(name)
    assert wordings + parts == expected
    assert Vocabulary.from_classes([name]).words == tuple(expected)


def test_what_belongs_to_a_class_is_listed_together():
    words = Vocabulary.from_classes(["red_cube", "blue_cube", "cat"], "labels")
    assert words.source == "labels"
    assert words.words == ("red cube", "red", "cube", "blue cube", "blue", "cat")
    with pytest.raises(ValueError, match="labels: no words"):
        Vocabulary.from_classes([""], "labels")


@pytest.mark.parametrize(
    "texts",
    [
        ["red metal cube", "Red_MetalCubes", "a cube of red metal", "RED METAL CUBE"],
        ["box", "boxes", "the Box"],
        ["policeman", "policemen", "Policemen"],
        ["berry", "berries"],
        ["glass", "glasses"],
        ["wolf", "wolves"],
        ["school bus", "School buses"],
        ["lens", "lenses"],
        ["potato", "potatoes"],
    ],
)
def test_wordings_of_one_thing(texts):
    assert len(set(map(base_form, texts))) == 1


def test_not_wordings_of_one_thing():
    texts = ["cube", "red cube", "small red cube", "sofa", "couch", "bus", "gas", "a"]
    assert len(set(map(base_form, texts))) == len(texts)


@given(st.text())
def test_the_base_form_forgets_case_and_spaces(text):
    assert base_form(f"  {text.lower()} ") == base_form(text.lower())
    assert bool(base_form(text)) == bool(text.strip())


_WORDS = st.lists(st.sampled_from(
    "red_cube red_cubes blue_cube blue_ball ball cat Cats dog_house hot_dog dog".split()
), min_size=1)


@given(_WORDS, st.floats(0.01, 0.99), st.text(max_size=3))
def test_a_split_never_leaks(names, fraction, salt):
    vocabulary = Vocabulary.from_classes(names)
    if len({base_form(name) for name in names}) < 2:
        with pytest.raises(ValueError, match="too few different things"):
            vocabulary.split(fraction, salt)
        return
    train, test = vocabulary.split(fraction, salt)
    assert train.words and test.words
    known = set(vocabulary.words)
    assert known >= set(train.words) | set(test.words)
    assert not set(map(base_form, train.words)) & set(map(base_form, test.words))
    classes = {base_form(name) for name in names}
    for name in names:  # every class is on one side, and its own parts with it
        wordings, parts = class_wordings(name)
        side, other = (train, test) if wordings[0] in train.words else (test, train)
        assert set(wordings) <= set(side.words)
        assert not {p for p in parts if base_form(p) not in classes} & set(other.words)
    assert vocabulary.split(fraction, salt) == (train, test)


def test_a_split_of_plain_words():
    nouns = Vocabulary.nouns()
    train, test = nouns.split()
    assert len(train) + len(test) == len(nouns)
    assert len(test) / len(nouns) == pytest.approx(0.2, abs=0.02)
    assert sorted(train.words + test.words) == sorted(nouns.words)
    assert list(train.words) == sorted(train.words, key=nouns.words.index)
    _, other = nouns.split(salt="another")
    assert len(set(test.words) & set(other.words)) < 0.3 * len(test)
    _, more = nouns.split(0.3)
    assert set(test.words) < set(more.words)
    assert test.words[:3] == ("phone", "library", "island")  # anywhere, for ever


def test_the_demo_words_can_be_split():
    train, test = demo_vocabulary().split()
    assert len(test) > 100 and len(train) > 500


def test_a_split_of_too_little():
    for words in (["owl"], ["owl", "Owls", "the owl"]):
        with pytest.raises(ValueError, match="pets: .* too few .*; add words"):
            Vocabulary.from_words(words, "pets").split()
    with pytest.raises(ValueError, match="'red metal cube'"):
        Vocabulary.from_classes(["red_metal_cube"]).split()
    train, test = Vocabulary.from_words(["owl", "fox"]).split()
    assert len(train) == len(test) == 1
    for fraction in (0, 1, -1, float("nan")):
        with pytest.raises(ValueError, match="fraction must be between 0 and 1"):
            Vocabulary.nouns(10).split(fraction)


def test_a_union_keeps_the_parts_of_classes():
    nouns = Vocabulary.from_words(["cube", "owl", "fox", "cat", "Red"], "list")
    both = nouns + Vocabulary.from_classes(["red_cube", "owl"])
    assert both.words == ("cube", "owl", "fox", "cat", "Red", "red cube", "red")
    assert both.source == "list + classes"
    for salt in "abcdef":
        train, test = both.split(0.5, salt)
        cube = {"cube", "Red", "red cube", "red"}
        assert cube <= set(train.words) or cube <= set(test.words)
    with pytest.raises(TypeError):
        nouns + ["dog"]


def test_words_and_their_wordings_are_left_out():
    vocabulary = Vocabulary.from_words(
        ["red cube", "Cubes red", "cube made of red", "cube", "small red cube", "owl"]
    )
    assert vocabulary.without(["Red_Cube", "fox"]).words == (
        "cube", "small red cube", "owl",
    )
    with pytest.raises(ValueError, match="all 1 words are left out"):
        Vocabulary.from_words(["owl"]).without(["owls"])
    with pytest.raises(TypeError, match="not the text 'owl'"):
        vocabulary.without("owl")


@pytest.mark.slow
def test_a_million_words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("".join(f"thing{i}x\n" for i in range(1_000_000)))
    vocabulary = Vocabulary.from_file(path)
    assert len(vocabulary) == 1_000_000
    train, test = vocabulary.split()
    assert len(train) + len(test) == 1_000_000


def test_words_need_no_torch():
    code = (
        "import sys\n"
        "from detail_embed.texts.vocabulary import Vocabulary\n"
        "from detail_embed.demo.proxies import demo_vocabulary\n"
        "Vocabulary.nouns(10).split(), demo_vocabulary()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
