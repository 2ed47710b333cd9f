"""What is said of the result of a search, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..state import search_state

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.search.found import Found

_SHOWN = 3  # templates
_HOW = {
    "vectors": "by its vectors",
    "reranked": "by its vectors, the best of them by their patches",
    "patches": "by all patches",
}


def summarise(asked: search_state.Asked, answer: Found) -> str:
    """How it was searched, what is shown of how many, and where the line runs."""
    shown, total = len(answer.ids), answer.searched
    text = f"**{shown:,}** of {total:,} {answer.noun}, best first, "
    text += f"{_HOW[answer.method]}, in {1000 * answer.seconds:.0f} ms."
    if asked.threshold is not None:
        text += f" All that stand out by {asked.threshold:.1f} are shown."
    text += probably(answer.likely or 0, shown)
    if answer.missing:
        text += f" {answer.missing:,} have no vector and were not searched."
    bare = answer.scores.count(None)
    if bare:
        text += f" The last {bare:,} have no stored patches and are not re-ranked."
    return text


def nothing(answer: Found) -> str:
    """What is said where no image probably shows what was asked; else empty."""
    if answer.likely != 0 or not answer.ids:
        return ""
    return f"Nothing here looks like “{answer.text}”. Shown is what comes nearest."


def none_stands_out(asked: search_state.Asked, answer: Found) -> str:
    """What is said where nothing reaches the threshold."""
    one = {"boxes": "box"}.get(answer.noun, answer.noun.removesuffix("s"))
    return (
        f"No {one} stands out by {asked.threshold:.1f}: move the slider to the left to "
        "lower the threshold"
    )


def templates(name: str) -> str:
    """The sentences of a set, or the first of them."""
    from detail_embed.texts.templates import template_set

    sentences = [f"“{text}”" for text in template_set(name)]
    rest = len(sentences) - _SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(sentences[:_SHOWN]) + more


def probably(likely: int, shown: int) -> str:
    """Where the line runs, if some are above it."""
    if not likely:
        return ""
    if likely >= shown:
        return " It probably shows it." if shown == 1 else " All probably show it."
    first = "probably shows" if likely == 1 else f"**{likely:,}** probably show"
    return f" The first {first} it; below here: probably not."
