"""Proxy words of the demo world: what a fuser may be fitted on.

Only words that are neither held out nor unseen, in several wordings, and
their parts.
"""

from __future__ import annotations

from detail_embed.clver_ds import Concept, concepts
from detail_embed.texts.vocabulary import Vocabulary


def demo_vocabulary() -> Vocabulary:
    """The words of the demo's world that are not held out, and their parts."""
    return Vocabulary.from_groups(proxy_wordings(), "demo world")


def proxy_wordings() -> dict[str, tuple[list[str], list[str]]]:
    """Maps the name of each proxy to its wordings and its parts."""
    held_out = {c.name for c in concepts("both") if not c.is_proxy}
    return {
        concept.name: (
            _wordings(concept),
            [p for p in _parts(concept) if len(p) > 2 and p not in held_out],
        )
        for concept in concepts("both") if concept.is_proxy
    }


def _wordings(concept: Concept) -> list[str]:
    if concept.bank == "things":
        return [concept.name]
    c, m, s = concept.colour, concept.material, concept.shape
    return [concept.name, f"{m} {c} {s}", f"{c} {s} made of {m}"]


def _parts(concept: Concept) -> list[str]:
    if concept.bank == "things":
        words = concept.name.split()
        return words if len(words) > 1 else []
    c, m, s = concept.colour, concept.material, concept.shape
    return [c, m, s, f"{c} {s}", f"{m} {s}", f"{c} {m} object"]
