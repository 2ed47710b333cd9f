"""Rounds of thumbs: a simulated person judges images, ten a round.

For ``benchmarks/teach.py``.
"""

from __future__ import annotations

import numpy as np

from _teach.measure import example, largest, scores
from _teach.scenes import Scenes
from detail_embed.concepts import Background, Example, learn
from detail_embed.evaluation.metrics import average_precision

ROUNDS, JUDGED = 5, 10
WAYS = ("best next", "uncertain next")


def plain(scenes: Scenes, text: np.ndarray, word: int, known: int | None) -> list[int]:
    """What was found after each round of going down the ranking of the text."""
    order = np.argsort(-scores(scenes, [text])[0], kind="stable")
    order = order[order != known]
    found = scenes.shows[word][order].cumsum()
    return [int(found[JUDGED * r - 1]) for r in range(1, ROUNDS + 1)]


def judge(
    scenes: Scenes,
    text: np.ndarray,
    word: int,
    background: Background,
    way: str,
    known: int | None,
) -> tuple[list[int], float]:
    """Judges round by round, and learns after each.

    Args:
        scenes: to search in
        text: ``(d,)``, what the person types
        word: number of what is meant
        background: of the scenes
        way: one of :data:`WAYS`
        known: a scene with a box around the thing, before the first round; None for
            none. It counts as found by neither way

    Returns:
        positives found after each round; average precision in percent on the images
        that were not judged, NaN where none of them shows it
    """
    shows = scenes.shows[word]
    judged = np.zeros(len(shows), bool)
    thumbs: dict[bool, list[Example]] = {True: [], False: []}
    if known is not None:
        judged[known] = True
        thumbs[True].append(example(scenes, known, largest(scenes)[word, known]))
    found, counts = 0, []
    for _ in range(ROUNDS):
        vector = learn(text, thumbs[True], thumbs[False], background)
        score = scores(scenes, [vector])[0]
        chosen = _choose(score, judged, shows, way)
        judged[chosen] = True
        for scene in chosen:
            thumbs[bool(shows[scene])].append(example(scenes, scene))
        found += int(shows[chosen].sum())
        counts.append(found)
    vector = learn(text, thumbs[True], thumbs[False], background)
    rest = average_precision(scores(scenes, [vector]), shows[None], judged[None])
    return counts, 100 * float(rest[0])


def _choose(score, judged, shows, way: str) -> np.ndarray:
    """The images to judge next, see ``fiftyone_bridge/teach/uncertain.py``."""
    both = [score[judged & (shows == up)] for up in (True, False)]
    urgent = score
    if way == "uncertain next" and all(map(len, both)):
        urgent = -np.abs(score - np.mean([np.median(each) for each in both]))
    open_ = np.flatnonzero(~judged)
    return open_[np.argsort(-urgent[open_], kind="stable")[:JUDGED]]
