"""Scenes that benchmarks look at."""

from __future__ import annotations

from pathlib import Path

from detail_embed.clver_ds import Queries, generate, read_queries


def scenes(folder: Path, n: int, seed: int) -> Queries:
    """Makes scenes of CLVER-DS.

    Args:
        folder: where they go
        n: how many
        seed: of what is in them

    Returns:
        their files, and the words that say what each shows
    """
    generate(folder, n, seed=seed, num_workers=2)
    return read_queries(folder)
