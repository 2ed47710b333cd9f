"""Concepts in a line of prompts: ``#helmet``, ``#"red helmet"``."""

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from detail_embed.texts.prompt_hints import prompt_hints
from detail_embed.texts.query import MAX_WEIGHT, Prompt, Query, QuerySyntaxError, parse
from detail_embed.texts.read_query import line_of, read_prompt

TEXTS = st.text(
    st.sampled_from('#＃",*-\\ 12:\n–“”，；ée\u0301')
    | st.characters(codec="utf-8"),
    max_size=20,
).filter(str.strip)
WEIGHTS = st.floats(-MAX_WEIGHT, MAX_WEIGHT, allow_nan=False).filter(bool)
QUERIES = st.lists(
    st.builds(Prompt, TEXTS, WEIGHTS, st.booleans()), min_size=1, max_size=5
).map(lambda prompts: Query(tuple(prompts)))


def concept(name, weight=1.0):
    return Prompt(name, weight, is_concept=True)


@pytest.mark.parametrize(
    ("line", "prompts"),
    [
        ("#helmet", [concept("helmet")]),
        ("#helmet, -a bicycle", [concept("helmet"), Prompt("a bicycle", -1)]),
        ("-#helmet, 2 * #hat", [concept("helmet", -1), concept("hat", 2)]),
        ('#"red helmet", at night', [concept("red helmet"), Prompt("at night")]),
        ('-0.5 * #"a * b, c"', [concept("a * b, c", -0.5)]),
        ("＃Helm；#“rotes Rad”", [concept("Helm"), concept("rotes Rad")]),
        ("# helmet", [concept("helmet")]),
        ("#头盔, #שלום", [concept("头盔"), concept("שלום")]),
        ('"#1", "#helmet"', [Prompt("#1"), Prompt("#helmet")]),
        ("C# code, a #1 sign", [Prompt("C# code"), Prompt("a #1 sign")]),
    ],
)
def test_lines(line, prompts):
    query = parse(line)
    assert query == Query(tuple(prompts))
    assert parse(str(query)) == query
    names = [prompt.text for prompt in prompts if prompt.is_concept]
    assert list(query.concepts) == names


@given(QUERIES)
@example(Query((Prompt("#1"), Prompt("1", is_concept=True), Prompt('#"a"'))))
def test_any_query_comes_back_from_its_line(query):
    assert parse(str(query)) == query


@given(st.builds(Prompt, TEXTS, is_concept=st.booleans()))
@example(Prompt('"#1", a'))
def test_any_prompt_comes_back_from_its_line(prompt):
    assert read_prompt(line_of(prompt)) == prompt


def test_a_name_is_the_same_however_its_accents_are_typed():
    assert parse("#cafe\u0301") == parse("#caf\u00e9")


@pytest.mark.parametrize(
    ("line", "position", "reason"),
    [
        ("#", 1, "name of a concept is missing"),
        ("a, #, b", 4, "name of a concept is missing"),
        ('#" "', 1, "name of a concept is missing"),
        ("a, #red helmet", 7, 'did you mean the concept #"red helmet", or #red, helm'),
        ("#helmet * 2", 8, "has one weight"),
        ("#-a", 1, "one minus"),
        ('#"a', 1, "not closed"),
        ('#"a" b', 5, "comma is missing"),
    ],
)
def test_lines_that_are_wrong_say_where(line, position, reason):
    with pytest.raises(QuerySyntaxError, match=reason) as error:
        parse(line)
    assert error.value.position == position


def test_a_prompt_of_a_list_is_a_text_unless_it_begins_with_the_sign():
    assert read_prompt("salt, -20 degrees") == Prompt("salt, -20 degrees")
    assert read_prompt(' #"red hat" ') == concept("red hat")
    assert read_prompt('"#1"') == Prompt("#1")
    with pytest.raises(ValueError, match="more than one prompt"):
        read_prompt("#a, b")
    with pytest.raises(TypeError, match="must be a string"):
        read_prompt(3)


def test_a_concept_is_one_vector_among_those_of_texts(backbone):
    known = {"hat": torch.nn.functional.normalize(torch.arange(16.0), dim=0)}
    alone = parse("#hat").encode(backbone, concept=known.__getitem__)
    assert torch.equal(alone, known["hat"])
    mixed = parse("#hat, -2 * a car").encode(backbone, concept=known.__getitem__)
    text = parse("a car").encode(backbone)
    want = torch.nn.functional.normalize(known["hat"] - 2 * text, dim=0)
    torch.testing.assert_close(mixed, want)


def test_without_a_dataset_no_concept_is_known(backbone):
    with pytest.raises(ValueError, match="#hat names a concept, which a dataset keeps"):
        parse("a car, #hat").encode(backbone)


def test_names_of_concepts_are_never_read_by_the_model(backbone):
    assert prompt_hints(backbone, parse("#头盔头盔头盔")) == ()
    assert prompt_hints(backbone, parse("头盔头盔头盔")) != ()
