"""Proxy words of the demo world: what a fuser may be fitted on.

Only words that are neither held out nor unseen, in several wordings, and
their parts.
"""

from __future__ import annotations

from ..clver_ds import concepts


def proxy_texts() -> list[str]:
    """Lists the proxies: names, rewordings of solids, and parts of names.

    Returns:
        texts without a template, each once, in a fixed order
    """
    held_out = {c.name for c in concepts("both") if not c.is_proxy}
    texts: dict[str, None] = {}
    for concept in concepts("both"):
        if not concept.is_proxy:
            continue
        texts[concept.name] = None
        if concept.bank == "things":
            parts = concept.name.split()
        else:
            c, m, s = concept.colour, concept.material, concept.shape
            texts[f"{m} {c} {s}"] = None
            texts[f"{c} {s} made of {m}"] = None
            parts = [c, m, s, f"{c} {s}", f"{m} {s}", f"{c} {m} object"]
        texts.update(dict.fromkeys(p for p in parts if len(p) > 2))
    return [text for text in texts if text not in held_out]
