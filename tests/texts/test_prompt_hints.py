"""What is said of prompts that a model cannot read as they are meant."""

import pytest

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.texts.prompt_hints import prompt_hints
from detail_embed.texts.query import parse

OTHER_SCRIPTS = [
    "красный шлем", "红色头盔", "赤いヘルメット", "خوذة حمراء", "קסדה אדומה",
    "빨간 헬멧", "लाल हेलमेट", "κόκκινο κράνος", "หมวกแดง",
]
FINE = [
    "a red helmet", "donaudampfschiffahrt", "mũ đỏ", "mu\u0303 ba\u0309o",
    "🚲 🪖", "a Δ sign", "xqzwv blorp", "1990–2000",
]


@pytest.fixture(scope="module")
def backbone():
    return Backbone.load(DEMO)


@pytest.mark.parametrize("text", OTHER_SCRIPTS)
def test_a_script_that_is_read_letter_by_letter(backbone, text):
    (hint,) = prompt_hints(backbone, parse(f"a tree, {text}"))
    assert f"script of “{text}”" in hint and backbone.name in hint


@pytest.mark.parametrize("text", FINE)
def test_what_is_read_as_it_is_meant(backbone, text):
    assert prompt_hints(backbone, parse(text)) == ()


@pytest.mark.parametrize(
    ("text", "two"),
    [
        ("a dog beside a red car", "a dog, a red car"),
        ("cats Next to the door", "cats, the door"),
        ("a cup and a red metal cube", "a cup, a red metal cube"),
    ],
)
def test_two_things_in_one_prompt(backbone, text, two):
    (hint,) = prompt_hints(backbone, parse(text))
    assert f"“{text}” names two things" in hint and f"“{two}”" in hint
    assert prompt_hints(backbone, parse(two)) == ()


@pytest.mark.parametrize(
    "text", ["hammer and wrench", "salt and pepper", "a sandy beach", "and a"]
)
def test_one_thing_with_an_and_in_its_name(backbone, text):
    assert prompt_hints(backbone, parse(text)) == ()


def test_what_is_cut_off(backbone):
    length = backbone.tokenizer._tokenizer.context_length
    words = "tree " * length
    (hint,) = prompt_hints(backbone, parse(f"{words}, a car"))
    assert hint.startswith("The end of “tree tree") and "is not read" in hint
    assert len(hint) < 200
    fits = " ".join(["tree"] * (length - 2))
    assert prompt_hints(backbone, parse(fits), "plain") == ()
    assert len(prompt_hints(backbone, parse(fits))) == 1  # with a sentence around it


@pytest.mark.parametrize(("text", "count"), [("a", 1), ("a dog", 2), ("", 0)])
def test_tokens_are_counted_without_those_of_the_ends(backbone, text, count):
    assert backbone.tokenizer.count(text) == count
    assert backbone.tokenizer.count("dog " * 1000) == 1000
