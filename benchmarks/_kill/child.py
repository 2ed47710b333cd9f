"""A process that embeds a dataset, counts what it encodes, and can be killed."""

from __future__ import annotations

import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detail_embed.backbone.bundled_model import NAME as DEMO

KEY = "detail"
MODES = {
    "vectors": {"vectors": 1, "keep_features": False},
    "kept features": {"vectors": 1, "keep_features": "float16"},
    "k vectors": {"vectors": 3, "keep_features": False},
}
COVER, CHUNK, BATCH = 5, 4, 64
PATCHES = 39  # of the cover, on square images
_POLL = 0.002


class Child:
    """A process that embeds a dataset.

    Args:
        name: of the dataset
        mode: one of ``MODES``
        embed (None): what it does, :func:`embed` by default
    """

    def __init__(self, name: str, mode: str, embed: Callable | None = None):
        handle, path = tempfile.mkstemp()
        os.close(handle)
        self._counter = Path(path)
        context = multiprocessing.get_context("fork")
        self.process = context.Process(
            target=embed or globals()["embed"], args=(name, mode, path)
        )
        self.process.start()

    @property
    def images(self) -> int:
        """Images that it has encoded, begun ones too."""
        counts = self._counter.read_text().split()
        return math.ceil(sum(map(int, counts)) / PATCHES)

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.process.exitcode == -9

    def wait_for_work(self, images: float = 0) -> None:
        """Waits until it encodes, after so many images, or has ended."""
        while self.process.is_alive() and self.images <= images:
            time.sleep(_POLL)

    def kill(self) -> bool:
        """Kills it; whether it lived."""
        self.process.kill()
        self.process.join()
        return self.was_killed

    def finish(self) -> None:
        """Waits for its end."""
        self.process.join()
        if self.process.exitcode:
            raise RuntimeError(f"a run failed: exit status {self.process.exitcode}")


def embed(name: str, mode: str, counter: str) -> None:
    """Embeds what is missing, and counts the patches that it encodes."""
    import fiftyone as fo
    import fiftyone.core.odm.database as food
    import torch

    from detail_embed.backbone import Backbone
    from detail_embed.fiftyone_bridge.compute import compute_index, embed
    from detail_embed.fiftyone_bridge.index.index import Index

    food._disconnect()  # as FiftyOne's own workers do: the parent's connections
    torch.set_num_threads(1)
    file = os.open(counter, os.O_WRONLY | os.O_APPEND)
    encode = Backbone.encode_patches

    def count(self: Backbone, patches: Any, **options: Any) -> Any:
        os.write(file, f"{len(patches)}\n".encode())
        return encode(self, patches, **options)

    def begin(*arguments: Any, **options: Any) -> Any:
        Backbone.encode_patches = count  # what fitting encoded before is no chunk
        return stream(*arguments, **options)

    stream, embed.stream_reusing = embed.stream_reusing, begin
    embed._CHUNKS = CHUNK, CHUNK
    is_single = mode != "k vectors"
    compute_index.compute(
        Index.of(fo.load_dataset(name), KEY),
        fo.load_dataset(name),
        settings(mode),
        also_global=is_single,
    ).finish()


def settings(mode: str) -> Any:
    """What is embedded, and how."""
    from detail_embed.fiftyone_bridge.index.settings import Settings

    return Settings(
        backbone=DEMO, cover=COVER, fuser="mean", device="cpu", batch_size=BATCH,
        num_workers=1, **MODES[mode],
    )
