"""Chooses the demo's default fuser: ``python -m detail_embed.demo.validate``.

Fusers are fitted on one set of scenes and compared on another, by the mAP of
held-out words. The table's own scenes are neither.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME
from detail_embed.clver_ds import generate, read_queries
from detail_embed.cover import CompleteCover
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.demo.table import retrieval_rows, score_methods
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.sample import FitSample
from detail_embed.texts.text_cache import encode_vocabulary

CHOICE = Path(__file__).with_name("validation.json")
COVER = CompleteCover(10)
FUSERS = ("mean", "gmp", "ridge")
OPTIONS = {"ridge": {"global_weight": 0.1}}  # the demo's things are small
_CANDIDATES = ("gmp", "ridge")
_FIT_SEED, _TEST_SEED = 7001, 7002


def default_fuser() -> str:
    """The fuser that won on the validation scenes."""
    return json.loads(CHOICE.read_text())["fuser"]


def proxy_features(backbone: Backbone) -> torch.Tensor:
    """Encodes the demo's proxies: ``(K, d)`` unit features."""
    return encode_vocabulary(backbone, demo_vocabulary().words)


def fit_fusers(
    backbone: Backbone, paths: list[Path], limit: int = 100
) -> dict[str, Fuser]:
    """Fits every fuser on the patches of up to ``limit`` equal-sized images."""
    images = torch.stack([
        image.features for image in
        iter_patch_features(enumerate(paths[:limit]), backbone, COVER)
    ])
    proxies = proxy_features(backbone).to(images)
    return {
        name: fusers.create(name, backbone.dim, **OPTIONS.get(name, {})).fit(
            FitSample.of_images(images, proxies=proxies)
        )
        for name in FUSERS
    }


def held_out_map(rows, method: str) -> float:
    """Mean over the banks of the mAP of held-out words, all scales."""
    return float(np.mean([
        row.map for row in rows
        if (row.method, row.words, row.scale) == (method, "held-out", "all")
    ]))


def validate(backbone: Backbone, folder: Path, n: int) -> dict:
    """Measures the candidates and names the winner.

    Args:
        backbone: the demo backbone
        folder: where the scenes go
        n: number of validation scenes; as many again are fitted on

    Returns:
        the winner and the mAP of held-out words by method, 0 to 1
    """
    generate(folder / "fit", n, seed=_FIT_SEED, num_workers=2, progress=True)
    generate(folder / "test", n, seed=_TEST_SEED, num_workers=2, progress=True)
    fitted = fit_fusers(backbone, read_queries(folder / "fit").paths)
    queries = read_queries(folder / "test")
    scores = score_methods(queries, backbone, COVER, fitted)
    rows = retrieval_rows(queries, scores)
    found = {method: round(held_out_map(rows, method), 4) for method in scores}
    return {
        "fuser": max(_CANDIDATES, key=found.get),
        "held_out_map": found,
        "scenes": n,
        "weights_hash": backbone.weights_hash,
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = validate(Backbone.load(NAME), Path(folder), args.n)
    CHOICE.write_text(json.dumps(result, indent=1) + "\n")
    print(CHOICE.read_text())


if __name__ == "__main__":
    main()
