"""Weights of a tag, changed and put into a file, must mean what they meant."""

import pytest

from detail_embed.adapt.as_file import architecture_of


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


