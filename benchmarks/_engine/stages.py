"""Where the time goes: each stage alone, images one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks._engine import contestants
from benchmarks._engine.case import Case
from benchmarks._engine.encoder import synchronise
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.chunk import Chunk
from detail_embed.images.image_file import read_image

_IMAGES = 4


def stages(case: Case) -> dict[str, float]:
    """Milliseconds per image of each stage, the device idle before and after."""
    files = case.files[:_IMAGES]
    device = case.backbone.device
    times: dict[str, float] = {}

    def timed(name: str, function: Callable[[Any], Any], inputs: list) -> list:
        function(inputs[0])
        synchronise(case.backbone)
        started = time.perf_counter()
        results = [function(one) for one in inputs]
        synchronise(case.backbone)
        times[name] = 1000 * (time.perf_counter() - started) / len(inputs)
        return results

    arrays = timed("decode", read_image, files)
    images = timed("upload", lambda a: torch.from_numpy(a).to(device), arrays)
    patches = timed(
        "resize and cut",
        lambda x: extract_patches(
            x.permute(2, 0, 1), case.cover, case.backbone.patch_spec
        ),
        images,
    )
    features = timed("encode", case.backbone.encode_patches, patches)
    vectors = timed("fuse", case.fuser, [one[None] for one in features])
    rows = torch.cat(vectors).cpu().numpy()
    with contestants._store(case, case.items[: len(rows)]) as write:
        ids = [name for name, _ in case.items[: len(rows)]]
        started = time.perf_counter()
        write(Chunk(ids, rows, rows, []))
        times["write"] = 1000 * (time.perf_counter() - started) / len(rows)
    return times
