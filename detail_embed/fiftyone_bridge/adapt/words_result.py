"""What came of learning words, in numbers and in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from detail_embed.adapt import LearnedWords

_NAMED = 10


@dataclass(frozen=True)
class WordsResult:
    """What was learned, measured on images that it was not learned from.

    Numbers are mean average precision in percent: of the images that show a word, how
    far to the front a search puts them.

    Attributes:
        brain_key: of the index
        kept: whether the index knows the words now; not where they are found no better
        source: what they were learned from, in words
        words: how many were learned
        images: that they were learned and measured from
        before: found by the names of the words alone
        after: found by what was learned
        others_before: of words that nobody taught, found by their names
        others_after: the same beside the learned ones; what is lost
        nouns: percent of the first images of general nouns that stay the same
        nearness: from which likeness to a learned word on a text is moved, a cosine
        best: the words that gained most, with numbers before and after
        worse: words that lost by it, and so stay as they were
        left_out: words that could not be learned, with the reason
        unread: images that cannot be read, with the reason
        seconds: that it took
    """

    brain_key: str
    kept: bool
    source: str
    words: int
    images: int
    before: float
    after: float
    others_before: float
    others_after: float
    nouns: float
    nearness: float
    best: list[tuple[str, float, float]]
    worse: list[str]
    left_out: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence."""
        found = f"{self.before:.1f} before, {self.after:.1f} after"
        if not self.kept:
            return (
                f"Nothing was changed: held-out images are found no better by what was "
                f"learned from {self.source} ({found})."
            )
        others = f"{self.others_before:.1f} before, {self.others_after:.1f} after"
        return (
            f"{self.brain_key!r} knows {self.words} words from {self.source}. On other "
            f"images than those it learned from they are found better: mAP {found}. "
            f"Words that nobody taught: {others}."
        )


def result_of(
    brain_key: str, source: str, learned: LearnedWords, left_out: dict[str, str],
    unread: dict[str, str], seconds: float,
) -> WordsResult:
    """What is told of learned words."""
    gain = np.nan_to_num(learned.after - learned.before, nan=-np.inf)
    best = [
        (learned.words[row], float(learned.before[row]), float(learned.after[row]))
        for row in np.argsort(-gain, kind="stable")[:_NAMED] if gain[row] > 0
    ]
    return WordsResult(
        brain_key=brain_key,
        kept=learned.adapter is not None and learned.is_better,
        source=source,
        words=len(learned.words) - len(learned.worse),
        images=learned.images,
        before=learned.mean_before,
        after=learned.mean_after,
        others_before=learned.others_before,
        others_after=learned.others_after,
        nouns=learned.nouns,
        nearness=learned.nearness,
        best=best,
        worse=list(learned.worse),
        left_out=left_out,
        unread=unread,
        seconds=seconds,
    )
