"""The training loop: one epoch at a time, measured on held-out words and images."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from detail_embed.evaluation import agreement
from detail_embed.fusers.checks import check_rows
from detail_embed.fusers.maxsim import maxsim_batch
from detail_embed.fusers.trained import TrainedFuser
from detail_embed.training import objectives
from detail_embed.training.checkpoint import (
    Checkpoint,
    pack_optimizer,
    part,
    unpack_optimizer,
)
from detail_embed.training.config import TrainingConfig
from detail_embed.training.data import Source, split, spread
from detail_embed.training.queue import Queue
from detail_embed.training.schedule import (
    Epoch,
    TrainingDiverged,
    is_over,
    learning_rate,
)

logger = logging.getLogger(__name__)

_MIN_IMAGES = 10
_SAMPLE = 400
_NO_BOXES = 0.1  # share of the steps that are taken without boxes
_BLOWN_UP = 10.0


class Training:
    """A training in steps: iterate over it to do the work and to see how it goes.

    When the iteration ends, however it ends, the fuser is the best one so far: best on
    words and images that it was not trained on.

    Args:
        fuser: changed in place
        source: ``n`` images, at least 10
        proxies: ``(K, d)`` unit texts to train on
        held_out: ``(K', d)`` unit texts to measure on; not wordings of the proxies
        config (TrainingConfig()): the choices
        checkpoint (None): a folder; a training that was killed goes on from there
        device ("cpu"): where to train

    Attributes:
        history: the epochs so far, those before a kill included

    Raises:
        ValueError: if images or texts are too few, not finite, or of another
            dimension, or the folder holds another training
    """

    def __init__(
        self,
        fuser: TrainedFuser,
        source: Source,
        proxies: Tensor,
        held_out: Tensor,
        config: TrainingConfig | None = None,
        checkpoint: str | Path | None = None,
        device: str | torch.device = "cpu",
    ):
        if not fuser.is_trained:
            raise ValueError(f"the {fuser.name!r} fuser is not trained; use its fit()")
        if len(source) < _MIN_IMAGES:
            raise ValueError(
                f"{len(source)} images are too few to train on: give at least "
                f"{_MIN_IMAGES}, better some thousands"
            )
        self._config = config or TrainingConfig()
        self._device = torch.device(device)
        self._fuser = fuser.to(self._device)
        self._source = source
        self._proxies, self._held_out = (
            check_rows(texts, fuser.dim, what, 2).float().to(self._device)
            for texts, what in ((proxies, "proxies"), (held_out, "held-out words"))
        )
        self._train_rows, self._test_rows = split(
            len(source), self._config.held_out_images, self._config.seed
        )
        self._batch_size = min(self._config.batch_size, len(self._train_rows))
        self._steps = max(1, len(self._train_rows) // self._batch_size)
        self._checkpoint = (
            None if checkpoint is None else Checkpoint(checkpoint, self._identity())
        )
        self.history: list[Epoch] = []
        self._best: dict[str, Tensor] | None = None

    def __iter__(self) -> Iterator[Epoch]:
        self._begin()
        try:
            if not self.history:
                yield self._end_of_epoch(0, None)
            while not is_over(self._config, self.history):
                number = self.history[-1].number + 1
                loss = self._train(number)
                yield self._end_of_epoch(number, loss)
        finally:
            self._fuser.restore(self._best)
            self._fuser.eval()

    def _begin(self) -> None:
        """Computes what the teacher says, and takes up what a run before left."""
        rows = self._train_rows
        sample = spread(rows, _SAMPLE)
        features, mask, _ = self._to_device(self._source.batch(sample))
        torch.manual_seed(self._config.seed)
        self._fuser.prepare(features, mask, self._proxies)
        self._fuser.epochs_trained = torch.zeros(1, device=self._device)
        self._teacher = objectives.Teacher(
            self._source, rows, self._proxies, self._batch_size
        )
        self._target = torch.cat([
            maxsim_batch(self._held_out, features, mask)
            for features, mask, _ in self._batches(self._test_rows)
        ])
        self._optimizer = torch.optim.AdamW(
            self._fuser.parameters(),
            lr=self._config.learning_rate,
            weight_decay=self._config.weight_decay,
        )
        self._queue = Queue(self._config.queue)
        self._spent, self._started = 0.0, time.monotonic()
        self._best = self._copy()
        self._resume()

    def _train(self, number: int) -> float:
        """One pass over the training images; returns the mean loss."""
        config = self._config
        generator = torch.Generator().manual_seed(config.seed * 100_003 + number)
        torch.manual_seed(config.seed * 100_003 + number)
        order = torch.randperm(len(self._train_rows), generator=generator)
        self._fuser.train()
        total = 0.0
        for step in range(self._steps):
            places = order[step * self._batch_size : (step + 1) * self._batch_size]
            for group in self._optimizer.param_groups:
                group["lr"] = self._learning_rate(number - 1 + step / self._steps)
            drop = bool(torch.rand((), generator=generator) < _NO_BOXES)
            loss = self._loss(places, drop)
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._fuser.parameters(), config.clip)
            self._optimizer.step()
            total += loss.item()
            self._check(total / (step + 1))
        self._fuser.eval()
        return total / self._steps

    def _loss(self, places: Tensor, drop_boxes: bool) -> Tensor:
        """The loss of the images at some places of the training rows."""
        rows = [self._train_rows[place] for place in places.tolist()]
        features, mask, boxes = self._to_device(self._source.batch(rows))
        with torch.autocast(
            self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"
        ):
            fused = self._fuser(features, mask, None if drop_boxes else boxes)
        fused = fused.float()
        config = self._config
        if config.objective == "proxy-mse":
            return objectives.proxy_mse(
                fused @ self._proxies.T, self._teacher.best[places].float()
            )
        vectors, seen = self._queue.with_earlier(fused, places)
        student = vectors @ self._proxies.T
        loss = objectives.ranking(
            student, self._teacher.standard_best(seen), config.temperature
        )
        if config.whole_image:
            loss = loss + config.whole_image * objectives.ranking(
                student, self._teacher.standard_whole(seen), config.temperature
            )
        return loss

    def _check(self, loss: float) -> None:
        first = next((e.loss for e in self.history if e.loss is not None), None)
        blown_up = first is not None and loss > _BLOWN_UP * max(first, 1.0)
        if blown_up or not math.isfinite(loss):
            raise self._diverged(f"the loss is {loss:.4g}")

    def _diverged(self, how: str) -> TrainingDiverged:
        return TrainingDiverged(
            f"the training diverged: {how} in epoch {self.history[-1].number + 1}. The "
            "best fuser so far is kept; try a learning rate below "
            f"{self._config.learning_rate:g}"
        )

    @torch.inference_mode()
    def _measure(self) -> float:
        fused = torch.cat([
            self._fuser(*batch) for batch in self._batches(self._test_rows)
        ])
        if not fused.isfinite().all():
            raise self._diverged("vectors are not finite")
        return agreement(fused @ self._held_out.T, self._target)

    def _end_of_epoch(self, number: int, loss: float | None) -> Epoch:
        self._fuser.eval()
        held_out = self._measure()
        best = max((e.held_out for e in self.history), default=-math.inf)
        epoch = Epoch(
            number=number,
            loss=loss,
            held_out=held_out,
            learning_rate=self._learning_rate(number),
            seconds=self._seconds(),
            is_best=held_out > best,
        )
        self.history.append(epoch)
        if epoch.is_best:
            self._fuser.epochs_trained = torch.full_like(
                self._fuser.epochs_trained, number
            )
            self._best = self._copy()
        if self._checkpoint is not None:
            self._save(epoch)
        logger.info("epoch %d: loss %s, held-out %.4f", number, loss, held_out)
        return epoch

    def _learning_rate(self, epoch: float) -> float:
        seconds = self._seconds() if self.history else 0.0
        return learning_rate(self._config, epoch, seconds)

    def _seconds(self) -> float:
        """Since the training began, those before a kill included."""
        return self._spent + time.monotonic() - self._started

    def _save(self, epoch: Epoch) -> None:
        if epoch.is_best:
            self._checkpoint.save_best(self._fuser)
        tensors = pack_optimizer(self._optimizer) | self._queue.pack()
        for prefix, state in (("now", self._copy()), ("best", self._best)):
            tensors |= {f"{prefix}.{k}": v.cpu() for k, v in state.items()}
        values = {"history": [asdict(e) for e in self.history]}
        self._checkpoint.save(epoch.number, values, tensors)

    def _resume(self) -> None:
        held = None if self._checkpoint is None else self._checkpoint.load()
        if held is None:
            return
        values, tensors = held
        self.history = [Epoch(**epoch) for epoch in values["history"]]
        self._spent = self.history[-1].seconds
        self._fuser.restore(part(tensors, "now", self._device))
        self._best = part(tensors, "best", self._device)
        unpack_optimizer(self._optimizer, tensors)
        self._queue.unpack(tensors, self._device)
        logger.info("going on after epoch %d", self.history[-1].number)

    def _copy(self) -> dict[str, Tensor]:
        return {
            k: v.detach().clone().contiguous()
            for k, v in self._fuser.state_dict().items()
        }

    def _batches(self, rows: list[int]):
        for start in range(0, len(rows), self._batch_size):
            batch = self._source.batch(rows[start : start + self._batch_size])
            yield self._to_device(batch)

    def _to_device(self, batch):
        return tuple(x if x is None else x.to(self._device) for x in batch)

    def _fingerprint(self) -> str:
        """Of the first, the middle and the last image."""
        last = len(self._source) - 1
        features, _, _ = self._source.batch([0, last // 2, last])
        return hashlib.sha256(features.cpu().numpy().tobytes()).hexdigest()[:16]

    def _identity(self) -> dict:
        texts = hashlib.sha256()
        for words in (self._proxies, self._held_out):
            texts.update(words.cpu().numpy().tobytes())
        config = asdict(self._config)
        del config["time_budget"]  # a run may be given more time
        return {
            "fuser": {"name": self._fuser.name, **self._fuser.options},
            "images": [len(self._source), self._fingerprint()],
            "words": texts.hexdigest(),
            **config,
        }
