"""Weights of a tag, changed and put into a file, must mean what they meant."""

import pytest

from detail_embed.adapt.as_file import architecture_of
from detail_embed.adapt.known_things import Things, other_nouns
from detail_embed.clver_ds import things


@pytest.mark.parametrize(("name", "tag", "architecture"), [
    ("ViT-B-32", "laion2b_s34b_b79k", "ViT-B-32"),
    ("ViT-B-32", "openai", "ViT-B-32-quickgelu"),  # the tag says it, a file cannot
    ("detail-demo", None, "detail-demo"),
    ("ViT-B-32", "/some/file.safetensors", "ViT-B-32"),
])
def test_the_architecture_of_a_file(name, tag, architecture):
    assert architecture_of(name, tag) == architecture


@pytest.mark.parametrize(("name", "tag", "message"), [
    ("hf-hub:some/model", None, "is loaded as a whole.*such as ViT-B-32"),
    ("ViT-L-14", "laion2b_s32b_b82k", "want their images otherwise"),
])
def test_what_a_file_cannot_say(name, tag, message):
    with pytest.raises(ValueError, match=message):
        architecture_of(name, tag)


def test_known_things_are_none_of_the_users_and_none_that_training_keeps():
    known = Things(32, ["Cat Face", "an apple", "red metal cube"])
    assert "red apple" in things.names() and len(known) == len(known.names)
    assert known.batch([0, 1]).shape == (2, 3, 32, 32)
    own = things.names()[0]
    assert own not in Things(32, [own]).names
    assert not set(other_nouns(["table"])) & {*things.names(), "table"}
