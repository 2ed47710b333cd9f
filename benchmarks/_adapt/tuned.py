"""Fine-tuned backbones of the benchmark's world."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from safetensors.torch import save_file

from _adapt.world import SIDE, Part
from detail_embed.adapt import blend, crops
from detail_embed.adapt.fine_tune import COARSE, Task, fine_tune
from detail_embed.adapt.known_things import Things
from detail_embed.adapt.models import AdaptedFacts
from detail_embed.adapt.phrases import phrases
from detail_embed.adapt.pictures import Picture, Said, split, texts_of
from detail_embed.adapt.towers import Towers
from detail_embed.adapt.tuning_config import TuningConfig
from detail_embed.adapt.tuning_judge import Judge
from detail_embed.cover import CompleteCover
from detail_embed.texts.templates import TEMPLATES


@dataclass(frozen=True)
class Tuned:
    """What a fine-tuning brought, and what it took.

    Attributes:
        facts: what is known of the model
        weights: after training, not mixed with those before
        seconds: of everything
    """

    facts: AdaptedFacts
    weights: Path
    seconds: float

    def row(self, name: str) -> str:
        """A row of a Markdown table: what the gate read on held-out images."""
        verdict, history = self.facts.verdict, self.facts.history
        best = max(history, key=lambda epoch: epoch["score"])
        return (
            f"| {name} | {history[-1]['number']} | {best['number']} | "
            f"{100 * history[0]['held_out']:.1f} | {100 * best['held_out']:.1f} | "
            f"{verdict['alpha']:g} | {100 * verdict['gain'][0]:+.1f} | "
            f"{-100 * verdict['lost']:+.1f} | "
            f"{'yes' if verdict['is_offered'] else 'no'} | {self.seconds:.0f} |"
        )


HEAD = (
    "| training | passes | best | held-out before | best pass | alpha | gain | nouns | "
    "offered | seconds |\n|--|--:|--:|--:|--:|--:|--:|--:|--|--:|"
)


def pictures_of(part: Part, source: str) -> list[Picture]:
    """Scenes with what a source says of them: boxes, labels or captions."""
    said: list[list[Said]] = [[] for _ in part.paths]
    if source == "boxes":
        for box in part.boxes:
            shares = tuple(value / SIDE for value in box.box)
            said[box.image].append(Said(box.word, shares))
    elif source == "labels":
        said = [[Said(word) for word in words] for words in part.labels]
    else:
        for thing, numbers in phrases(part.captions).items():
            if len(numbers) > 1:
                for number in numbers:
                    said[number].append(Said(thing))
    return [Picture(str(p), tuple(s)) for p, s in zip(part.paths, said) if s]


def gate(part: Part, towers: Towers, folder: Path) -> Judge:
    """The gate's judge, on the scenes that a training from boxes holds out."""
    pictures = pictures_of(part, "boxes")
    _, held_out = split(pictures, TuningConfig.seed)
    file = folder / "held-out.u8"
    for _ in crops.cut(held_out, CompleteCover(COARSE), towers.spec, file, every=True):
        pass
    cut = crops.load(file)
    return Judge(cut, held_out, TEMPLATES, Things(cut, texts_of(pictures)))


def tune(
    part: Part, source: str, name: str, config: TuningConfig, folder: Path
) -> Tuned:
    """Fine-tunes the demo backbone; a run that was killed goes on.

    Args:
        part: scenes to learn from
        source: ``"boxes"``, ``"labels"`` or ``"captions"``
        name: of the model
        config: the choices
        folder: where the weights go
    """
    mix, last = blend.mix, {}

    def seen(start, end, alpha):
        last.update(end)
        return mix(start, end, alpha)

    task = Task(name, "detail-demo", None, source, TEMPLATES, config, device="cpu")
    started = time.monotonic()
    with patch.object(blend, "mix", seen):
        steps = fine_tune(pictures_of(part, source), task)
        while True:
            try:
                stage = next(steps)
            except StopIteration as end:
                facts = end.value
                break
            if stage.text.startswith(("Pass", "Mixing")):
                print(f"{name}: {stage.text}", flush=True)
    file = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in last.items()}, file)
    return Tuned(facts, file, time.monotonic() - started)
