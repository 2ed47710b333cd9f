"""How often the demo backbone names what a crop shows.

``python -m detail_embed.demo.evaluate`` prints top-1 accuracy among all
concepts of a bank, on backgrounds and poses that were not seen in training.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict

import numpy as np
import torch

from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME, WEIGHTS
from detail_embed.clver_ds import BANKS, Concept, concepts
from detail_embed.demo.crops import TEST_BACKGROUNDS, TEST_VIEWS, CropSampler, Recipe
from detail_embed.texts.templates import encode_query

FILLS = ((0.1, 0.15), (0.15, 0.2), (0.2, 0.3), (0.3, 0.5), (0.5, 0.75), (0.75, 1.0))


def accuracy(
    backbone: Backbone,
    bank: str,
    fill: tuple[float, float],
    count: int = 1000,
    seed: int = 12345,
) -> dict[str, float]:
    """Measures top-1 accuracy on crops with one whole object.

    Args:
        backbone: the model
        bank: ``"things"`` or ``"solids"``; also the set of answers
        fill: range of the object's side, as a fraction of the crop's
        count (1000): number of crops
        seed (12345): of the crops

    Returns:
        accuracy by word group ("all", "seen", "held-out", "unseen"), 0 to 1
    """
    known = list(concepts(bank))
    texts = torch.stack([encode_query(backbone, c.name) for c in known])
    recipe = Recipe(
        fill=fill, extra=(1.0,), empty=0.0, offset=(1 - fill[1]) / 2,
        rotation=25.0, things=float(bank == "things"),
    )
    sampler = CropSampler(
        recipe, known, TEST_VIEWS, TEST_BACKGROUNDS, seed, fields_per_kind=100
    )
    rng = np.random.default_rng(seed)
    hits = defaultdict(list)
    for _ in range(0, count, 250):
        crops, shares = sampler.batch(rng, min(250, count))
        shown = shares.argmax(1)
        features = backbone.encode_patches(torch.from_numpy(crops))
        guessed = (features @ texts.T.to(features)).argmax(1).cpu().numpy()
        for truth, guess in zip(shown, guessed):
            hits["all"].append(truth == guess)
            hits[_group(known[truth])].append(truth == guess)
    return {group: float(np.mean(rights)) for group, rights in hits.items()}


def _group(concept: Concept) -> str:
    if concept.unseen:
        return "unseen"
    return "held-out" if concept.held_out else "seen"


def report(backbone: Backbone, count: int = 1000) -> dict:
    """Accuracy by bank and by how much of the crop the object fills."""
    return {
        bank: {
            f"{low:g}-{high:g}": accuracy(backbone, bank, (low, high), count)
            for low, high in FILLS
        }
        for bank in BANKS
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default=str(WEIGHTS))
    parser.add_argument("--count", type=int, default=1000)
    args = parser.parse_args()
    backbone = Backbone.load(NAME, pretrained=args.weights)
    print(json.dumps(report(backbone, args.count), indent=1))


if __name__ == "__main__":
    main()
