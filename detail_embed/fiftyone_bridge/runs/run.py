"""Work in steps that says how far it is."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
from torch import Tensor
from tqdm import tqdm

from detail_embed.backbone import Backbone
from detail_embed.texts.text_cache import encode_in_steps
from detail_embed.texts.vocabulary import Vocabulary


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        text: what is being done, with images per second and the time left
        fraction: of the whole, 0 to 1
        history: of a training, what every epoch so far reached
    """

    text: str
    fraction: float
    history: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Result:
    """What a run did.

    Attributes:
        brain_key: the key of the index
        space: name of the embedding space, also of the zoo model
        embedded: images that got a vector
        present: images that had one
        failed: images that could not be read; the reason is in ``error_field``
        error_field: field of the reasons; only there if some image failed
        seconds: duration of the run
        again: how many had a vector that was not to be used any more, by the reason in
            words; they are among those embedded, or failed
        vectors: per image, that text is compared with
        fuser: name of what makes them
        reason: why number and fuser were chosen; empty where the user named them
        features: whether patch features are kept, in a sentence; empty where the user
            said it
        boxes: of a label field that got a vector
        failed_boxes: those that cannot have one; the attribute
            ``<brain_key>_boxes_error`` of their labels says why
        group_slice: the slice of groups whose images these are; None for no groups
        encoder: how images were encoded, and what was measured to choose that
        windows: how many are left out, in a sentence; empty where that is not measured
        reasons: how many images failed, by reason, the most frequent first
        silent: images that had a vector and keep it, though nothing came of their file,
            so nobody knows whether it has changed
    """

    brain_key: str
    space: str
    embedded: int
    present: int
    failed: int
    error_field: str
    seconds: float
    again: dict[str, int]
    vectors: int
    fuser: str
    reason: str
    features: str
    boxes: int = 0
    failed_boxes: int = 0
    group_slice: str | list[str] | None = None
    encoder: str = ""
    windows: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    silent: int = 0


class Run:
    """A run in steps: iterate over it to do the work and to see how far it is.

    Attributes:
        result: the :class:`Result`, None until the iteration has ended
    """

    def __init__(self, work: Generator[Progress, None, Result]):
        self._work = work
        self.result: Result | None = None

    def __iter__(self) -> Iterator[Progress]:
        self.result = yield from self._work

    def finish(self, progress: bool | None = False) -> Result:
        """Does all the work.

        Args:
            progress (False): whether to show a progress bar; None for FiftyOne's
                setting ``show_progress_bars``
        """
        if progress is None:
            progress = fo.config.show_progress_bars
        bar_format = "{percentage:3.0f}% |{bar}| {desc}"
        with tqdm(total=1.0, bar_format=bar_format, disable=not progress) as bar:
            for step in self:
                bar.n = step.fraction
                bar.set_description_str(step.text)
        return self.result


def encode_words(
    backbone: Backbone, vocabulary: Vocabulary
) -> Generator[Progress, None, Tensor]:
    """Encodes a vocabulary; only what the cache does not hold takes time.

    Returns:
        ``(K, d)``, see :func:`detail_embed.texts.text_cache.encode_vocabulary`
    """
    steps = encode_in_steps(backbone, vocabulary.words)
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            return end.value
        text = f"Encoding {total:,} words, once for this model"
        yield Progress(f"{text}: {done:,} done", done / total)
