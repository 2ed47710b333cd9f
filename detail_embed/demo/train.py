"""Trains the demo backbone: ``python -m detail_embed.demo.train``.

Image to text: softmax over captions of a large share of all concepts, the
targets being what a crop shows. Text to image: softmax over the crops of the
batch, for concepts and for partial descriptions ("red cube", "metal object").
(In-batch contrast alone stalls: colours come last.)
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from detail_embed.backbone.bundled_model import NAME, WEIGHTS, register
from detail_embed.backbone.devices import resolve_device
from detail_embed.clver_ds import concepts
from detail_embed.demo import captions
from detail_embed.demo.crops import TRAIN_BACKGROUNDS, TRAIN_VIEWS, CropSampler, Recipe
from detail_embed.storage.whole_files import whole_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one stage; crops seen = steps x batch.

    Attributes:
        steps: number of updates
        batch: crops per update
        bank: concepts per update whose captions are compared with every crop
        attributes: partial descriptions per update
        lr: highest learning rate
        warmup: updates until it is reached; a cosine takes it back to zero
        weight_decay: of matrices and filters
        fields: backgrounds of each kind
        seed: of weights, crops and captions
    """

    steps: int = 3000
    batch: int = 256
    bank: int = 320
    attributes: int = 48
    lr: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.05
    fields: int = 12
    seed: int = 0


# The second stage starts over with a lower rate and asks more often for parts
# of descriptions, so that colour, material and shape come apart; the third sees
# more backgrounds.
STAGES = (
    TrainConfig(),
    TrainConfig(steps=2400, lr=1.2e-3, warmup=100, attributes=96, seed=1),
    TrainConfig(
        steps=900, lr=8e-4, warmup=50, attributes=96, fields=48, seed=2
    ),
)


class CropBatches(Dataset):
    """Batch ``i`` depends on the seed and ``i`` only."""

    def __init__(self, config: TrainConfig):
        self.config = config
        self.known = known_concepts()
        self._sampler = None

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int):
        if self._sampler is None:
            self._sampler = CropSampler(
                Recipe(), self.known, TRAIN_VIEWS, TRAIN_BACKGROUNDS,
                seed=self.config.seed, fields_per_kind=self.config.fields,
            )
        rng = np.random.default_rng([self.config.seed, step])
        crops, shares = self._sampler.batch(rng, self.config.batch)
        return torch.from_numpy(crops), torch.from_numpy(shares)


def known_concepts():
    """The concepts that the demo backbone may see."""
    return [c for c in concepts("both") if not c.unseen]


class TextBank:
    """Tokenised captions of all concepts, of nothing and of attributes."""

    def __init__(self, known):
        tokenize = open_clip.get_tokenizer(NAME)
        self.concepts = [tokenize(captions.wordings(c)) for c in known]
        self.nothing = tokenize(captions.nothing())
        self.attributes, fits = [], []
        for phrases, match in captions.attributes():
            self.attributes.append(tokenize(phrases))
            fits.append([float(match(c)) for c in known])
        self.fits = torch.tensor(fits)

    def draw(self, rng, shares: torch.Tensor, config: TrainConfig):
        """Chooses this step's captions.

        Returns:
            indices of concepts (those shown first, then others), indices of
            attributes, and the tokens of concepts, nothing and attributes
        """
        shown = shares.any(0).nonzero().flatten().numpy()
        others = np.setdiff1d(np.arange(shares.shape[1]), shown)
        room = max(0, config.bank - len(shown))
        others = rng.permutation(others)[:room]
        chosen = np.concatenate([shown, others])
        partial = rng.permutation(len(self.attributes))[:config.attributes]
        texts = [_pick(rng, self.concepts[i]) for i in chosen]
        texts.append(_pick(rng, self.nothing))
        texts += [_pick(rng, self.attributes[i]) for i in partial]
        return chosen, partial, torch.stack(texts)


def _pick(rng, wordings: torch.Tensor) -> torch.Tensor:
    return wordings[rng.integers(len(wordings))]


def contrastive_loss(logits, shares, nothing):
    """Both directions of the loss over concepts and "nothing".

    Args:
        logits: ``(b, k + 1)``, the last column is "nothing"
        shares: ``(b, k)``, how much of a crop each concept takes
        nothing: ``(b,)`` bool, crops that show no concept
    """
    targets = torch.cat([shares, nothing[:, None].to(shares)], 1)
    to_text = -(F.log_softmax(logits, 1) * _distribution(targets, 1)).sum(1)
    return to_text.mean() + to_image_loss(logits, targets)


def to_image_loss(logits, targets):
    """Softmax over the crops of the batch, for every text that fits one."""
    used = targets.any(0)
    logits, targets = logits[:, used], targets[:, used]
    loss = -(F.log_softmax(logits, 0) * _distribution(targets, 0)).sum(0)
    return loss.mean() if used.any() else logits.sum()


def _distribution(weights, dim):
    return weights / weights.sum(dim, keepdim=True).clamp_min(1e-9)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to zero."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.5 * config.lr * (1 + np.cos(np.pi * done))


def train(
    config: TrainConfig, out: Path, device: str, init: Path | None = None
) -> dict:
    """Trains one stage and saves fp16 weights.

    Args:
        config: the settings
        out: path of the safetensors file
        device: a torch device
        init (None): weights to start from; by default random ones

    Returns:
        the settings, crops seen and minutes taken
    """
    torch.manual_seed(config.seed)
    register()
    weights = None if init is None else str(init)
    model = open_clip.create_model(NAME, pretrained=weights).to(device).train()
    model = model.to(memory_format=torch.channels_last)  # a fifth faster
    batches = CropBatches(config)
    bank = TextBank(batches.known)
    fits = bank.fits.to(device)
    mean, std = (
        torch.tensor(v, device=device).view(1, 3, 1, 1) * 255
        for v in (model.visual.image_mean, model.visual.image_std)
    )
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, config.weight_decay), betas=(0.9, 0.98)
    )
    loader = DataLoader(batches, batch_size=None, num_workers=1,
                        prefetch_factor=4)
    started, smooth = time.monotonic(), None
    with tqdm(loader, desc="training", unit="step", mininterval=5) as bar:
        for step, (crops, shares) in enumerate(bar):
            rng = np.random.default_rng([config.seed, step, 1])
            chosen, partial, tokens = bank.draw(rng, shares, config)
            crops, shares, tokens = (
                t.to(device) for t in (crops, shares, tokens)
            )
            images = model.encode_image((crops - mean) / std, normalize=True)
            texts = model.encode_text(tokens, normalize=True)
            logits = model.logit_scale.exp() * images @ texts.T
            split = len(chosen) + 1
            loss = contrastive_loss(
                logits[:, :split], shares[:, chosen], ~shares.any(1)
            )
            matches = (shares @ fits[partial].T).clamp(max=1)
            loss = loss + 0.5 * to_image_loss(logits[:, split:], matches)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, np.log(100))
            value = loss.item()
            smooth = value if smooth is None else 0.98 * smooth + 0.02 * value
            bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
            if (step + 1) % 200 == 0:
                save(model, out)
    save(model, out)
    return {**vars(config), "crops": config.steps * config.batch,
            "loss": round(smooth, 4),
            "minutes": round((time.monotonic() - started) / 60, 1)}


def _parameter_groups(model, weight_decay: float) -> list[dict]:
    """Weight decay for matrices and filters, not for gains and biases."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    plain = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": decayed, "weight_decay": weight_decay},
            {"params": plain, "weight_decay": 0.0}]


def save(model, out: Path) -> None:
    """Saves the weights as fp16 safetensors, whole or not at all."""
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    with whole_file(out) as partial:
        save_file({k: v.contiguous().cpu() for k, v in state.items()}, partial)


def main() -> None:
    """Runs the command line."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--first-stage", type=int, default=1,
                        choices=range(1, len(STAGES) + 1),
                        help="a later stage starts from the weights in --out")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    device = str(resolve_device(args.device))
    for number, stage in enumerate(STAGES, start=1):
        if number < args.first_stage:
            continue
        init = args.out if number > 1 else None
        result = train(stage, args.out, device, init)
        print(json.dumps({"stage": number, **result}, indent=1))


if __name__ == "__main__":
    main()
