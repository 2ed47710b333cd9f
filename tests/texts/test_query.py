"""Queries of several prompts and their one-line syntax."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st

from detail_embed.texts.query import MAX_WEIGHT, Prompt, Query, QuerySyntaxError, parse
from detail_embed.texts.templates import encode_queries, template_set

WEIGHTS = st.floats(
    -MAX_WEIGHT, MAX_WEIGHT, allow_nan=False, allow_subnormal=True
).filter(bool)
# Syntax more often than chance would have it, beside all of unicode.
TEXTS = st.text(
    st.sampled_from('",*-\\ 12.e\n–−“”„«»，、；;') | st.characters(codec="utf-8"),
    max_size=30,
).filter(str.strip)
QUERIES = st.lists(st.builds(Prompt, TEXTS, WEIGHTS), min_size=1, max_size=6).map(
    lambda prompts: Query(tuple(prompts))
)


def query(*pairs):
    return Query(tuple(Prompt(text, weight) for text, weight in pairs))


@pytest.mark.parametrize(
    ("line", "prompts"),
    [
        ("a car", [("a car", 1)]),
        ("  a \t red\n car ", [("a red car", 1)]),
        ("a car,snow", [("a car", 1), ("snow", 1)]),
        ("a car, -a bicycle", [("a car", 1), ("a bicycle", -1)]),
        ("- a bicycle", [("a bicycle", -1)]),
        ("2 * at night, 0.5*snow", [("at night", 2), ("snow", 0.5)]),
        ("-1.5 * a car", [("a car", -1.5)]),
        ("1e-2 * a car, +2 * snow", [("a car", 0.01), ("snow", 2)]),
        ("t-shirt, -t-shirt", [("t-shirt", 1), ("t-shirt", -1)]),
        ("2, 3 cars", [("2", 1), ("3 cars", 1)]),
        ('"salt, pepper and -20 degrees"', [("salt, pepper and -20 degrees", 1)]),
        ('-0.5 * "-20 *  C" , snow', [("-20 * C", -0.5), ("snow", 1)]),
        (r'"12\" pizza \\ \d"', [('12" pizza \\ \\d', 1)]),
        ('a sign "stop"', [('a sign "stop"', 1)]),
        ("back\\slash", [("back\\slash", 1)]),
        ("👨‍👩‍👧 at sea, -סירה קטנה", [("👨‍👩‍👧 at sea", 1), ("סירה קטנה", -1)]),
        ("x" * 10_000, [("x" * 10_000, 1)]),
        ("a car, –snow", [("a car", 1), ("snow", -1)]),
        ("a car,−snow, — 2 * sea", [("a car", 1), ("snow", -1), ("sea", -2)]),
        ("a car，snow、rain；fog; ice", [(word, 1) for word in
         ("a car", "snow", "rain", "fog", "ice")]),
        ("سيارة، ثلج", [("سيارة", 1), ("ثلج", 1)]),
        ("“salt, pepper”, -„a, b“", [("salt, pepper", 1), ("a, b", -1)]),
        ("« red, hat », 「a、b」", [("red, hat", 1), ("a、b", 1)]),
        ('a sign “stop”', [("a sign “stop”", 1)]),
        ("1990–2000, at -20 degrees", [("1990–2000", 1), ("at -20 degrees", 1)]),
        ("a man - a dog", [("a man - a dog", 1)]),
        ('"a car -snow", 1, 5 * sea', [("a car -snow", 1), ("1", 1), ("sea", 5)]),
    ],
)
def test_lines(line, prompts):
    parsed = parse(line)
    assert parsed == query(*prompts)
    assert parse(str(parsed)) == parsed


def test_the_line_of_a_query_is_short():
    q = query(("a car", 1), ("snow", -1), ("sea", -2.0), ("a, b", 0.5), ('"', 1))
    assert str(q) == r'a car, -snow, -2 * sea, 0.5 * "a, b", "\""'


@given(QUERIES)
@example(query(("\\", -5e-324), ('\\"', 100), ("-", 1e-5), ("\x1f\0", 1)))
def test_any_query_comes_back_from_its_line(q):
    assert parse(str(q)) == q


@given(TEXTS | st.text(st.sampled_from('a",*- \\2'), max_size=12))
def test_any_text_is_a_query_or_an_error_with_a_place(text):
    try:
        parse(text)
    except QuerySyntaxError as error:
        assert 0 <= error.position <= len(text)
        reason, _, caret = str(error).split("\n")
        assert reason and caret.strip() == "^"


@pytest.mark.parametrize(
    ("line", "position", "reason"),
    [
        ("", 0, "query is empty"),
        (" \n ", 0, "query is empty"),
        ("a,, b", 2, "prompt is missing"),
        ("a, ,b", 3, "prompt is missing"),
        ("a,", 2, "prompt is missing"),
        (",", 0, "prompt is missing"),
        ("a, -", 4, "prompt is missing"),
        ('a, " "', 3, "prompt is missing"),
        ("a, 2 *", 6, "prompt is missing"),
        ("2 * , b", 4, "prompt is missing"),
        ('a, "b, c', 3, "not closed"),
        ('a, "b\\"', 3, "not closed"),
        ('a "b, c" d', 2, "not closed"),
        ("a, 0 * b", 3, "weight 0 is not above 0"),
        ("a, -0.0 * b", 4, "weight 0.0 is not above 0"),
        ("a, --2 * b", 4, "weight -2 is not above 0"),
        ("100.5 * b", 0, "weight 100.5 is not above 0 and at most 100"),
        ("1e999 * b", 0, "weight 1e999 is not"),
        ("nan * b", 0, "'nan' before the star is not a number"),
        ("a, two * b", 3, "'two' before the star is not a number"),
        ("* b", 0, "'' before the star is not a number"),
        ("2 * 3 * b", 6, "has one weight"),
        ("2 * -b", 4, "one minus"),
        ("--b", 1, "one minus"),
        ('"a" and b', 4, "comma is missing after the closing quote"),
        ('"a" * 2', 4, "comma is missing after the closing quote"),
        ("x" * 10_001, 10_000, "10,001 characters"),
        ("1,5 * a car", 0, "did you mean 1.5 * …, with a point?"),
        ("a, -0,5* b", 4, "did you mean 0.5* …, with a point?"),
        ("a car -snow", 6, "did you mean a car, -snow, which leaves out 'snow'?"),
        ("sea, 2 * a car –old snow", 15, "did you mean a car, -old snow"),
        ("a, “b, c", 3, "not closed"),
        ("a, ––b", 4, "one minus"),
    ],
)
def test_errors_say_where(line, position, reason):
    with pytest.raises(QuerySyntaxError) as caught:
        parse(line)
    assert reason in caught.value.reason
    assert caught.value.position == position
    assert isinstance(caught.value, ValueError)


def test_the_caret_is_under_the_place():
    with pytest.raises(QuerySyntaxError) as caught:
        parse("a car,\n0 * snow")
    assert str(caught.value).split("\n")[1:] == ["a car, 0 * snow", "       ^"]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_caret_heeds_wide_characters_and_long_lines():
    with pytest.raises(QuerySyntaxError) as caught:
        parse("猫 e\u0301, 0 * b")
    assert str(caught.value).split("\n")[2] == " " * len("xx e, ") + "^"
    with pytest.raises(QuerySyntaxError) as caught:
        parse("a" * 500 + ", 0 * b, " + "c" * 500)
    _, line, caret = str(caught.value).split("\n")
    assert line[0] == line[-1] == "…" and len(line) == 82
    assert line[caret.index("^"):].startswith("0 * b")


def test_only_strings_and_prompts_with_sense():
    with pytest.raises(TypeError, match="7"):
        parse(7)
    with pytest.raises(TypeError, match="7"):
        Prompt(7)
    with pytest.raises(ValueError, match="empty"):
        Prompt(" ")
    for weight in (0, 101, -101, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"not {float(weight)}"):
            Prompt("a", weight)
    with pytest.raises(ValueError, match="no prompt"):
        Query(())


def test_only_negative():
    assert parse("-a, -2 * b").is_only_negative
    assert not parse("-a, b").is_only_negative


@pytest.mark.parametrize("templates", ["own", "plain", ["see {}", "{}"]])
def test_one_prompt_is_the_plain_query(backbone, templates):
    plain = encode_queries(backbone, ["a red car"], template_set(templates))[0]
    for line in ("a red car", "3 * a red car", '" a  red car"'):
        assert torch.equal(parse(line).encode(backbone, templates), plain)
    assert torch.equal(parse("-2 * a red car").encode(backbone, templates), -plain)


def test_own_templates_are_those_of_a_plain_query(backbone):
    vector = parse("dog").encode(backbone)
    assert torch.equal(vector, encode_queries(backbone, ["dog"])[0])


def test_the_vector_is_the_weighted_sum(backbone):
    dog, cat, sea = encode_queries(backbone, ["dog", "cat", "sea"])
    vector = parse("dog, -0.5 * cat, 2 * sea").encode(backbone)
    assert vector.shape == (backbone.dim,) and vector.dtype == torch.float32
    expected = F.normalize(dog - 0.5 * cat + 2 * sea, dim=0)
    assert torch.allclose(vector, expected, atol=1e-6)


def test_only_the_ratio_of_weights_counts(backbone):
    tiny = query(("dog", 1e-300), ("cat", -2e-300)).encode(backbone)
    assert torch.allclose(tiny, parse("50*dog, -100*cat").encode(backbone), atol=1e-6)


@pytest.mark.parametrize("line", ["dog, -dog", "2 * dog, sea, -sea, -2 * dog"])
def test_prompts_that_cancel_out(backbone, line):
    with pytest.raises(ValueError, match=f"{line[0]}.*cancel each other out"):
        parse(line).encode(backbone)
