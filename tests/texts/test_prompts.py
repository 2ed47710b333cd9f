"""Templates and queries."""

import pytest
import torch

from detail_embed.texts.templates import (
    TEMPLATE_SETS,
    TEMPLATES,
    apply_templates,
    encode_queries,
    encode_query,
    template_set,
)
from tests.tiny import tiny_backbone


def test_templates_hold_the_text():
    sentences = apply_templates("  red helmet ")
    assert len(sentences) == len(TEMPLATES)
    assert all("red helmet" in s and "{}" not in s for s in sentences)


def test_braces_in_the_text_stay():
    assert apply_templates("a {} b", ["see {}"]) == ["see a {} b"]


def test_a_query_is_the_mean_of_its_templates(tmp_path):
    backbone = tiny_backbone(tmp_path)
    query = encode_query(backbone, "dog")
    mean = backbone.encode_texts(apply_templates("dog")).mean(0)
    assert torch.allclose(query, mean / mean.norm(), atol=1e-6)
    both = encode_queries(backbone, ["dog", "cat"])
    assert both.shape == (2, backbone.dim)
    assert torch.allclose(both[0], query, atol=1e-6)


def test_empty_text_and_bad_template():
    with pytest.raises(ValueError, match="empty"):
        apply_templates(" ")
    with pytest.raises(ValueError, match="a photo"):
        apply_templates("dog", ["a photo"])
    with pytest.raises(ValueError, match="no template"):
        apply_templates("dog", [])


def test_only_lists_of_strings(tmp_path):
    backbone = tiny_backbone(tmp_path)
    assert encode_queries(backbone, []).shape == (0, backbone.dim)
    with pytest.raises(TypeError, match="'dog'"):
        encode_queries(backbone, "dog")
    with pytest.raises(TypeError, match="7"):
        encode_queries(backbone, ["dog", 7])


def test_template_sets():
    sets = {name: template_set(name) for name in TEMPLATE_SETS}
    assert {name: len(templates) for name, templates in sets.items()} == {
        "own": 4, "openai-80": 80, "simple-7": 7, "plain": 1
    }
    assert sets["own"] == TEMPLATES == template_set()
    assert "itap of a {}." in sets["simple-7"]
    for templates in sets.values():
        assert len(apply_templates("owl", templates)) == len(set(templates))
    assert template_set(["one {}"]) == ("one {}",)


def test_an_unknown_template_set():
    with pytest.raises(ValueError, match="'openai'. Near matches: openai-80"):
        template_set("openai")
    with pytest.raises(ValueError, match="own, openai-80, simple-7, plain"):
        template_set("")
    with pytest.raises(ValueError, match="no template"):
        template_set([])
    with pytest.raises(ValueError, match="must hold {} once"):
        template_set(["{} and {}"])
    with pytest.raises(TypeError, match="7"):
        template_set([7])
