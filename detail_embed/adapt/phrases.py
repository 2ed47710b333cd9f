"""Things that captions name: runs of words between the small words of a language.

After RAKE (Rose et al., Automatic Keyword Extraction from Individual Documents, 2010):
stop words and punctuation end a phrase, and two phrases that always stand around the
same stop word are one ("hammer and pick").
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

STOP_WORDS = frozenset("""
a about above across after against all along also among an and another any are around
as at away back be been before behind being below beneath beside besides between both
but by can close could did do does down during each either every few for from further
get gets goes going had has have having he her here his holds how i if in inside into
is it its itself just like many more most much near nearby next no none not of off on
one onto or other our out outside over past per seen several shot she showing shown
shows sits some stands such than that the their them then there these they this those
three through to together too toward towards two under underneath until up upon very
via view visible was we were what when where which while who whose will with within
without you your photo photograph picture image scene background foreground see
""".split())
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*|[^\w\s]")
_LONGEST = 4  # words of a phrase
_TOGETHER = 0.8  # of both phrases' occurrences, from which on they are one


def phrases(captions: Sequence[str]) -> dict[str, list[int]]:
    """Finds what captions name.

    Args:
        captions: ``n`` texts; blank ones name nothing

    Returns:
        the numbers of the captions by phrase, in lower case; the most frequent first
    """
    texts = [_runs(caption) for caption in captions]
    joined = _joined(texts)
    found: dict[str, dict[int, None]] = defaultdict(dict)
    for number, runs in enumerate(texts):
        place = 0
        while place < len(runs):
            run, gap = runs[place]
            after = runs[place + 1][0] if place + 1 < len(runs) else None
            if (run, gap, after) in joined:
                run, place = f"{run} {gap} {after}", place + 1
            if len(run.split()) <= _LONGEST and not run.isdigit():
                found[run][number] = None
            place += 1
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return {phrase: list(numbers) for phrase, numbers in ordered}


def _runs(caption: str) -> list[tuple[str, str]]:
    """The runs of a caption, each with the one stop word after it; "" for others."""
    runs: list[tuple[list[str], list[str]]] = [([], [])]
    for token in _WORD.findall(caption.lower()):
        words, gap = runs[-1]
        is_word = token[0].isalnum() and token not in STOP_WORDS
        if is_word and gap:
            runs.append(([token], []))
        elif is_word:
            words.append(token)
        elif words:
            gap.append(token)
    return [
        (" ".join(words), gap[0] if len(gap) == 1 and gap[0].isalnum() else "")
        for words, gap in runs if words
    ]


def _joined(texts: list[list[tuple[str, str]]]) -> set[tuple[str, str, str]]:
    """Phrases around one stop word that hardly ever stand alone."""
    alone: Counter[str] = Counter()
    pairs: Counter[tuple[str, str, str]] = Counter()
    for runs in texts:
        alone.update(run for run, _ in runs)
        pairs.update(
            (run, gap, after) for (run, gap), (after, _) in zip(runs, runs[1:]) if gap
        )
    return {
        (run, gap, after) for (run, gap, after), count in pairs.items()
        if count > 1 and count >= _TOGETHER * max(alone[run], alone[after])
    }
