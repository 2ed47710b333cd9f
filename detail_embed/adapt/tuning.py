"""Fine-tuning of a backbone on images and texts, one pass over them at a time."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from detail_embed.adapt.contrast import contrast, stay
from detail_embed.adapt.crops import Cut, full
from detail_embed.adapt.lora import weights_of
from detail_embed.adapt.pairs import Pairs, Step
from detail_embed.adapt.towers import Towers
from detail_embed.adapt.trainable import choose
from detail_embed.adapt.tuning_config import TuningConfig
from detail_embed.adapt.tuning_judge import JUDGED_BY, Found, Judge
from detail_embed.training.checkpoint import (
    Checkpoint,
    pack_optimizer,
    part,
    unpack_optimizer,
)
from detail_embed.training.schedule import Epoch, is_over, learning_rate

logger = logging.getLogger(__name__)

_AS_IT_IS = ("{}",)
_KEPT_NOUNS = 96  # of a step
_BLOWN_UP = 10.0


@dataclass(frozen=True)
class TunedEpoch(Epoch):
    """What a pass brought; ``held_out`` is the mean average precision of the texts.

    Attributes:
        nouns: mean reciprocal rank of the known things
        score: by which the best is chosen, see :meth:`.tuning_judge.Found.score`
    """

    nouns: float
    score: float


class Tuning:
    """A fine-tuning in steps: iterate over it to do the work and to see how it goes.

    When the iteration ends, however it ends, :attr:`best` is the best so far.

    Args:
        towers: changed in place
        cut: crops to train on
        texts: all texts of these
        templates: sentences for the texts
        nouns: to be kept as they are
        judge: measures on held-out images
        config: the choices
        checkpoint: a folder; a training that was killed goes on from there
        is_aimed (False): whether the texts are said of images as a whole

    Attributes:
        history: the passes so far, those before a kill included
        best: the weights of the best pass so far, on the CPU, by name
        start: those that it began with, likewise
        before: what was found at the start
        stopped: why it ended early, in a sentence; empty if it did not

    Raises:
        ValueError: if the folder holds another training, or the method does not fit
    """

    def __init__(
        self, towers: Towers, cut: Cut, texts: Sequence[str], templates: Sequence[str],
        nouns: Sequence[str], judge: Judge, config: TuningConfig,
        checkpoint: str | Path, is_aimed: bool = False,
    ):
        self._towers, self._cut, self._judge = towers, cut, judge
        self._texts, self._nouns = list(texts), list(nouns)
        self._templates, self._config = templates, config
        self._pairs = Pairs(cut, texts, is_aimed)
        self._folder = Path(checkpoint)
        self.start = weights_of(towers.model)
        self._checkpoint = Checkpoint(checkpoint, self._identity())
        self._chosen: dict[str, torch.nn.Parameter] = {}
        self.history: list[TunedEpoch] = []
        self.best, self.before, self.stopped = self.start, None, ""

    def __iter__(self) -> Iterator[TunedEpoch]:
        self._begin()
        if not self.history:
            yield self._end_of_pass(0, None, self.before)
        while not is_over(self._config, self.history):
            number = self.history[-1].number + 1
            loss = self._train(number)
            if self.stopped:
                return
            yield self._end_of_pass(number, loss, self._judge.measure(self._towers))

    def _begin(self) -> None:
        config, towers = self._config, self._towers
        self._spent, self._started = 0.0, time.monotonic()
        torch.manual_seed(config.seed)
        self.before = self._judge.measure(towers)
        self._crops_before = towers.all_images(self._cut).half()
        self._nouns_before = towers.all_texts(self._nouns, _AS_IT_IS)
        self._chosen, groups = choose(
            towers.model, config.method, config.rank, config.learning_rate,
            config.weight_decay,
        )
        self._optimizer = torch.optim.AdamW(groups)
        self._resume()

    def _train(self, number: int) -> float:
        """One pass; returns the mean loss."""
        rng = np.random.default_rng([self._config.seed, number])
        torch.manual_seed(self._config.seed * 100_003 + number)
        if self._pairs.is_aimed:
            self._pairs.aim(
                self._towers.all_images(self._cut),
                self._towers.all_texts(self._texts, self._templates),
                self._towers.scale,
            )
        steps, total = self._pairs.steps(self._config.batch_size, rng), 0.0
        for done, step in enumerate(steps):
            rate = self._rate(number - 1 + done / len(steps))
            for group in self._optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            loss = self._loss(step, rng)
            total += loss.item()
            if self._has_blown_up(total / (done + 1)):
                self.stopped = (
                    f"the loss became {loss.item():.3g} in pass {number}, so the "
                    f"training stopped there and the best model until then was kept; "
                    f"try a learning rate below {self._config.learning_rate:g}"
                )
                logger.warning(self.stopped)
                return total
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._chosen.values(), self._config.clip)
            self._optimizer.step()
        return total / len(steps)

    def _loss(self, step: Step, rng: np.random.Generator) -> Tensor:
        towers, device = self._towers, self._towers.device
        sentences = [
            self._templates[rng.integers(len(self._templates))].replace("{}", text)
            for text in (self._texts[number] for number in step.texts)
        ]
        kept = rng.permutation(len(self._nouns))[:_KEPT_NOUNS]
        scale = towers.scale
        images = towers.images(self._cut.batch(step.rows))
        texts = towers.texts([*sentences, *(self._nouns[i] for i in kept)])
        own, others = texts.split([len(sentences), len(kept)])
        loss = contrast(
            images, own, step.fits.to(device), scale, step.unknown.to(device)
        )
        if not self._config.stay or not len(kept):
            return loss
        before = self._crops_before[step.rows].float() @ self._nouns_before[kept].T
        return loss + self._config.stay * stay(images, others, before, scale)

    def _has_blown_up(self, loss: float) -> bool:
        first = next((e.loss for e in self.history if e.loss is not None), None)
        blown_up = first is not None and loss > _BLOWN_UP * max(first, 1.0)
        return blown_up or not math.isfinite(loss)

    def _end_of_pass(
        self, number: int, loss: float | None, found: Found
    ) -> TunedEpoch:
        score = found.score(self.before)
        is_best = score > max((e.score for e in self.history), default=-math.inf)
        epoch = TunedEpoch(
            number=number, loss=loss, held_out=found.retrieval,
            learning_rate=self._rate(number), seconds=self._seconds(), is_best=is_best,
            nouns=found.kept, score=score,
        )
        self.history.append(epoch)
        if is_best:
            self.best = weights_of(self._towers.model)
            self._best_chosen = self._copy()
        self._save(number)
        logger.info("pass %d: loss %s, held-out %.4f", number, loss, found.retrieval)
        return epoch

    def _rate(self, done: float) -> float:
        seconds = self._seconds() if self.history else 0.0
        return learning_rate(self._config, done, seconds)

    def _seconds(self) -> float:
        """Since the training began, those before a kill included."""
        return self._spent + time.monotonic() - self._started

    def _copy(self) -> dict[str, Tensor]:
        return {
            name: value.detach().cpu().clone().contiguous()
            for name, value in self._chosen.items()
        }

    def _save(self, number: int) -> None:
        tensors = pack_optimizer(self._optimizer)
        for prefix, state in (("now", self._copy()), ("best", self._best_chosen)):
            tensors |= {f"{prefix}.{name}": value for name, value in state.items()}
        values = {"history": [asdict(epoch) for epoch in self.history]}
        try:
            self._checkpoint.save(number, values, tensors)
        except (OSError, SafetensorError) as error:
            raise full(self._folder, error) from error

    def _resume(self) -> None:
        held = self._checkpoint.load()
        if held is None:
            return
        values, tensors = held
        self.history = [TunedEpoch(**epoch) for epoch in values["history"]]
        self._spent = self.history[-1].seconds
        device = self._towers.device
        self._best_chosen = part(tensors, "best", torch.device("cpu"))
        self._take(part(tensors, "best", device))
        self.best = weights_of(self._towers.model)
        self._take(part(tensors, "now", device))
        unpack_optimizer(self._optimizer, tensors)
        logger.info("going on after pass %d", self.history[-1].number)

    @torch.no_grad()
    def _take(self, state: dict[str, Tensor]) -> None:
        for name, value in state.items():
            self._chosen[name].copy_(value)

    def _identity(self) -> dict:
        """Of the model, the crops, the texts and the choices."""
        weights = hashlib.sha256()
        for name in sorted(self.start):
            weights.update(self.start[name].numpy().tobytes())
        shown = repr([self._cut.key, self._texts])
        config = asdict(self._config)
        for name in ("time_budget", "patience", "epochs"):  # a run may be given more
            del config[name]
        return {
            "model": self._towers.name,
            "weights": weights.hexdigest()[:12],
            "images and texts": hashlib.sha256(shown.encode()).hexdigest()[:12],
            "sentences": list(self._templates),
            "judge": JUDGED_BY,
            **config,
        }
