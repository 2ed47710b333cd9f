"""What was measured, as a page for a person."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from benchmarks._pooling.pairs import SUM
from benchmarks._pooling.soft import BEST, Measured
from detail_embed.evaluation import bootstrap

_ALL = "all"


def page(
    soft: Mapping[str, Sequence[Measured]],
    both: Mapping[str, Mapping[str, np.ndarray]],
    one: Mapping[str, Mapping[str, np.ndarray]],
    but_not: Mapping[str, Mapping[str, np.ndarray]],
    names: Mapping[str, np.ndarray],
    count: int,
) -> str:
    """Lays the results out as Markdown.

    Args:
        soft: by task, see :func:`.soft.compare`
        both: average precision by store and score, see :func:`.pairs.both`
        one: average precision of two texts for one thing, by what they say
        but_not: likewise, see :func:`.pairs.but_not`
        names: likewise, see :func:`.pairs.split_names`
        count: scenes of each kind to judge by
    """
    words = {
        "date": datetime.date.today().isoformat(), "n": count,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "threads": torch.get_num_threads(),
    }
    parts = [_HEAD.format(**words), _VERDICT,
             "## One thing: soft pooling against the best patch", _SOFT]
    for task, found in soft.items():
        parts += [f"### {task[0].upper()}{task[1:]}", _soft_table(found)]
    parts += ["## Several things in one prompt", _PAIRS]
    for store, found in both.items():
        parts += [f"### Searched by {store}", _table(found, SUM)]
    parts += ["## Two prompts for one thing", _ONE]
    for what, found in one.items():
        parts += [f"### {what[0].upper()}{what[1:]}", _table(found, SUM)]
    parts += ["## One thing, but not another", _BUT_NOT]
    parts += [_table(found, next(iter(found))) for found in but_not.values()]
    parts += ["## Names that would be cut", _NAMES, _table(names, "one prompt")]
    return "\n\n".join(parts) + "\n"


def _soft_table(found: Sequence[Measured]) -> str:
    base = next(one for one in found if one.name == BEST)
    scales = [scale for scale in base.values if scale != _ALL]
    rows = []
    for one in found:
        cells = [_interval(one.values[_ALL])]
        cells += [f"{100 * np.nanmean(one.values[s]):.1f}" for s in scales]
        rows.append([one.name, *cells, _against(one.values[_ALL], base.values[_ALL])])
    return _markdown(["score", "%", *scales, "against the best patch"], rows)


def _table(found: Mapping[str, np.ndarray], base: str) -> str:
    rows = [
        [name, _interval(values), _against(values, found[base])]
        for name, values in found.items()
    ]
    return _markdown(["score", "mAP, %", f"against {base!r}"], rows)


def _interval(values: np.ndarray) -> str:
    low, high = bootstrap(values)
    return f"{100 * values.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _against(values: np.ndarray, base: np.ndarray) -> str:
    low, high = bootstrap(values - base)
    if values is base:
        return ""
    off = 100 * (values - base).mean()
    return f"{off:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _markdown(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


_HEAD = """# Scores that pool

Measured by `python benchmarks/pooling.py`; {machine}, torch on {threads} threads,
no GPU; {date}. The demo backbone, CLVER-DS, cover 10. {n} scenes of 1120 x 1120
pixels of each kind to judge by, fewer to tune on; those to judge by have
backgrounds and words that were not tuned on (the words are *held out*, the
backgrounds unknown to the backbone, too). In brackets 95 % bootstrap intervals over
queries; a difference is paired, query by query."""

_VERDICT = """## Verdict

**Verdict.** *Soft pooling: no.* For search and re-ranking no way of pooling is better
than the best patch beyond its interval. The pooled vector names one small thing
better (+4.0, 1.3 to 7.3): one of nine comparisons, and classes are told by vectors
here, not by patches, so nothing was built of it.

*Each prompt by itself: yes, built.* `"A, B"` finds images that show both far better
if each is compared by itself, by all patches and by 8 vectors alike. That alone would
lose much where two prompts are of one thing ("red object, cube"), so half of the
score is the best patch for both: it keeps three quarters of what there is to win and
loses 4 points there, where one prompt, "red cube", finds 13 points more than both.
"But not" wins, too. In an index of one vector an image there is nothing to win by a
mean, and little by the smaller.

*Cutting sentences into prompts: no.* "A beside B" finds least of all, but names of
one thing ("hammer and wrench") may lose by being cut. A line beside the result says
how to make two prompts of a sentence with "beside", "next to" or "and a".

One world and one backbone, whose text tower read captions of one thing: how much of
this holds for a CLIP that was trained on sentences is not measured, as no such
weights were at hand."""

_SOFT = """An image's patches score ``s`` with a text. *Weighted scores*: their
mean, weighted by ``softmax(s / T)``. *Pooled vector*: the patches' mean with these
weights, and its cosine with the text, as PACL (arXiv 2212.04994) pools.
*Log-sum-exp*: ``T log sum exp(s / T)``. T of 0.003, 0.01, 0.03, 0.1 and 0.3, the
best for each on the scenes and words to tune on. By scale, the square root of the
share of the image that a thing's box takes. Re-ranking: the best tenth by one
vector (`gmp`). Zero-shot classes: images of one thing, of a scale from 0.02 to 0.08,
and whether its word scores above all other held-out words."""

_PAIRS = """Scenes of four to eight things out of 30; a query is two words, and
relevant are the images that show both. *One vector*: what `"A, B"` was before, the
sum of two texts, compared with patches or vectors. *Best of each*: each word is
compared by itself, and the two scores of an image are combined. z-scores are of a
word among all images. The temperature of the log-sum is from the scenes to tune on.
The sentences are hard for this backbone, whose text tower was trained on captions
of one thing; CLIPs that read of several know them better."""

_ONE = """By all patches. A colour or a material and a shape ("red object", "cube";
as one prompt, "red cube"): relevant are images of a thing that is both, among four to
eight solids. Two wordings
("helmet", "a small helmet"): relevant are images of the thing."""

_BUT_NOT = """The same scenes and pairs; relevant are images that show A and not B."""

_NAMES = """Things of the demo's world whose one name has an "and" or a "with", such
as "hammer and wrench", searched for by all patches among all things: as one prompt,
and cut in two."""
