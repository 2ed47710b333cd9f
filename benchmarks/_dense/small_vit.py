"""A small ViT of the demo's world, as there is no ViT with weights to be had offline.

It is trained as the demo backbone is (``detail_embed.demo.train``: its crops, its
captions, its losses), but shorter: its text tower is the demo backbone's, frozen, and
its image tower also follows the demo backbone's features of the same crops.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Subset

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import CONFIG, NAME, WEIGHTS, register
from detail_embed.demo.train import (
    CropBatches,
    TextBank,
    TrainConfig,
    contrastive_loss,
    learning_rate,
    to_image_loss,
)
from detail_embed.storage.whole_files import whole_file

logger = logging.getLogger(__name__)

VIT = "detail-small-vit"
VISION = {"image_size": 64, "layers": 5, "width": 96, "head_width": 32,
          "patch_size": 8}
_FOLLOW = 4.0  # weight of 1 - cosine with the demo backbone's feature
_EVERY = 100  # steps between two saves


def backbone(home: Path) -> Backbone:
    """The trained one, from ``train``."""
    _register(home)
    return Backbone.load(VIT, home / f"{VIT}.safetensors", device="torch")


def is_trained(home: Path) -> bool:
    """Whether there are weights."""
    return (home / f"{VIT}.safetensors").is_file()


def train(home: Path, steps: int, batch: int = 128) -> Iterator[int]:
    """Trains it, or goes on where a run before was cut short.

    Args:
        home: where the weights are kept
        steps: all in all
        batch: crops of a step

    Yields:
        the number of the step that was saved
    """
    _register(home)
    out, kept = home / f"{VIT}.safetensors", home / f"{VIT}-state.pt"
    config = TrainConfig(steps=steps, batch=batch, lr=2e-3, warmup=100, bank=200,
                         seed=7)
    torch.manual_seed(config.seed)
    register()
    teacher = open_clip.create_model(NAME, pretrained=str(WEIGHTS)).eval()
    model = open_clip.create_model(VIT)
    model.load_state_dict(
        {k: v for k, v in teacher.state_dict().items() if not k.startswith("visual.")},
        strict=False,
    )
    model.requires_grad_(False).visual.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in model.visual.parameters() if p.ndim >= 2],
          "weight_decay": config.weight_decay},
         {"params": [p for p in model.visual.parameters() if p.ndim < 2],
          "weight_decay": 0.0}], betas=(0.9, 0.98),
    )
    done, seconds = 0, 0.0
    if kept.is_file():
        state = torch.load(kept, weights_only=True)
        model.visual.load_state_dict(state["visual"])
        optimizer.load_state_dict(state["optimizer"])
        done, seconds = state["done"], state["seconds"]
    batches = CropBatches(config)
    bank = TextBank(batches.known)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255
                 for v in (model.visual.image_mean, model.visual.image_std))
    loader = DataLoader(Subset(batches, range(done, steps)), batch_size=None,
                        num_workers=1, prefetch_factor=2)
    started = time.process_time()
    for step, (crops, shares) in enumerate(loader, start=done):
        rng = np.random.default_rng([config.seed, step, 1])
        chosen, partial, tokens = bank.draw(rng, shares, config)
        images = (crops - mean) / std
        with torch.no_grad():
            follow = teacher.encode_image(images, normalize=True)
            texts = teacher.encode_text(tokens, normalize=True)
        found = model.visual(images)
        found = F.normalize(found, dim=1)
        logits = teacher.logit_scale.exp() * found @ texts.T
        split = len(chosen) + 1
        loss = contrastive_loss(logits[:, :split], shares[:, chosen], ~shares.any(1))
        matches = (shares @ bank.fits[partial].T).clamp(max=1)
        loss = loss + 0.5 * to_image_loss(logits[:, split:], matches)
        away = 1 - (found * follow).sum(1).mean()
        for group in optimizer.param_groups:
            group["lr"] = float(learning_rate(step, config))
        optimizer.zero_grad(set_to_none=True)
        (loss + _FOLLOW * away).backward()
        torch.nn.utils.clip_grad_norm_(model.visual.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % _EVERY == 0 or step + 1 == steps:
            now = seconds + time.process_time() - started
            logger.info("step %d, loss %.3f, cosine with the demo backbone %.3f, %.1f "
                        "minutes", step + 1, loss.item(), 1 - away.item(), now / 60)
            with whole_file(kept) as path:
                torch.save({"visual": model.visual.state_dict(), "done": step + 1,
                            "optimizer": optimizer.state_dict(), "seconds": now}, path)
            weights = {k: v.half().contiguous() for k, v in model.state_dict().items()}
            with whole_file(out) as path:
                save_file(weights, path)
            yield step + 1


def _register(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    config = json.loads(CONFIG.read_text("utf-8"))
    path = home / f"{VIT}.json"
    path.write_text(json.dumps(config | {"vision_cfg": VISION}), "utf-8")
    open_clip.add_model_config(path)
