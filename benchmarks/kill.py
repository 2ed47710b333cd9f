"""SIGKILL at random moments of runs that embed and store: what is lost, what differs.

    python benchmarks/kill.py --kills 100

Children embed CLVER-DS scenes with the demo backbone over a real MongoDB. They are
killed, started again until a run comes to its end, and what is stored is compared
with an unbroken run. Every child counts the patches that it encodes in a file.

"At most one chunk is done twice" means: the images whose chunk was not stored when the
kill came, and those that the encoder had begun beyond it. What a fuser or a choice is
fitted on comes before the first chunk and is not counted: a kill during the fit repeats
the fit, and nothing else.
"""

from __future__ import annotations

import argparse
import logging
import math
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.demo.fiftyone_home import isolate  # noqa: E402

KEY = "detail"
MODES = {
    "vectors": {},
    "kept features": {"keep_features": "float16"},
    "k vectors": {"vectors": 3},
}
COVER, CHUNK, BATCH = 5, 4, 64
_PATCHES = 39  # of the cover, on square images
_POLL = 0.002


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        isolate(Path(folder) / "home")
        from detail_embed import clver_ds
        from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

        scenes = Path(folder) / "scenes"
        clver_ds.generate(
            scenes, arguments.images, bank="solids", size=256, scales=(0.15, 0.25)
        )
        dataset = load_clver_ds(scenes)
        logging.getLogger("detail_embed").setLevel(logging.ERROR)  # locks taken over
        for mode in arguments.modes:
            print(measure(dataset, mode, arguments.kills, arguments.seed), flush=True)
        dataset.delete()


@dataclass
class Outcome:
    """What kills did.

    Attributes:
        mode: what was stored
        kills: how many hit a run that had begun to encode
        runs: that came to their end after kills
        again: images encoded twice, the most of any kill
        allowed: one chunk, and the batch being encoded
        halves: samples that were ever found half-written
        differing: values that differ from those of an unbroken run
        furthest: the largest difference of a value
        unanswered: finished runs whose index did not find every image
        seconds: duration
    """

    mode: str
    kills: int = 0
    runs: int = 0
    again: int = 0
    allowed: int = CHUNK + math.ceil(BATCH / _PATCHES)
    halves: int = 0
    differing: int = 0
    furthest: float = 0.0
    unanswered: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.mode}: {self.kills} kills in {self.runs} runs that were finished, "
            f"at most {self.again} images encoded twice per kill ({self.allowed} are "
            f"allowed: the chunk of {CHUNK} that is not stored yet, and the "
            f"{self.allowed - CHUNK} of the batch that is being encoded), "
            f"{self.halves} samples half-written, "
            f"{self.differing} values differ (by {self.furthest:.1e} at most), "
            f"{self.unanswered} indexes do not answer, "
            f"{self.seconds:.0f} s"
        )


def measure(dataset: Any, mode: str, kills: int, seed: int = 0) -> Outcome:
    """Kills children that embed a data set, and compares what they store."""
    from detail_embed.fiftyone_bridge.compute import compute_index

    outcome, chance = Outcome(mode), random.Random(seed)
    started = time.monotonic()
    compute_index.delete(dataset, KEY)
    child = Child(dataset.name, mode)
    span = child.finish()
    whole = stored(dataset, mode)
    if not whole:
        raise RuntimeError("an unbroken run stored nothing")
    compute_index.delete(dataset, KEY)
    while outcome.kills < kills:
        before = len(held(dataset, mode))
        child = Child(dataset.name, mode)
        child.wait_for_work()
        time.sleep(chance.uniform(0, span))
        if child.kill():
            outcome.kills += 1
            new = len(held(dataset, mode)) - before
            outcome.again = max(outcome.again, child.images - new)
            outcome.halves += halves(dataset, mode)
        if not child.was_killed or outcome.kills == kills:
            Child(dataset.name, mode).finish()
            outcome.runs += 1
            compare(whole, stored(dataset, mode), outcome)
            outcome.unanswered += not answers(dataset, set(whole))
            compute_index.delete(dataset, KEY)
    outcome.seconds = time.monotonic() - started
    return outcome


class Child:
    """A process that embeds a data set.

    Args:
        name: of the data set
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
        return math.ceil(sum(map(int, counts)) / _PATCHES)

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.process.exitcode == -9

    def wait_for_work(self) -> None:
        """Waits until it encodes, or has ended."""
        while self.process.is_alive() and not self._counter.stat().st_size:
            time.sleep(_POLL)

    def kill(self) -> bool:
        """Kills it; whether it lived."""
        self.process.kill()
        self.process.join()
        return self.was_killed

    def finish(self) -> float:
        """Waits for its end; returns the seconds since its first batch."""
        self.wait_for_work()
        started = time.monotonic()
        self.process.join()
        if self.process.exitcode:
            raise RuntimeError(f"a run failed: exit status {self.process.exitcode}")
        return time.monotonic() - started


def embed(name: str, mode: str, counter: str) -> None:
    """Embeds what is missing, and counts the patches that it encodes."""
    import fiftyone as fo
    import fiftyone.core.odm.database as food
    import torch

    from detail_embed.backbone import Backbone
    from detail_embed.fiftyone_bridge.compute import compute_index

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

    stream, compute_index.stream_reusing = compute_index.stream_reusing, begin
    compute_index._CHUNKS = CHUNK, CHUNK
    is_single = mode != "k vectors"
    compute_index.compute(
        fo.load_dataset(name), settings(mode), KEY, also_global=is_single
    ).finish()


def settings(mode: str) -> Any:
    """What is embedded, and how."""
    from detail_embed.fiftyone_bridge.index.settings import Settings

    return Settings(
        backbone=DEMO, cover=COVER, fuser="mean", device="cpu", batch_size=BATCH,
        num_workers=1, **MODES[mode],
    )


def held(dataset: Any, mode: str) -> set[str]:
    """The images that need not be encoded again."""
    if mode == "kept features":
        from detail_embed.fiftyone_bridge.index import feature_stores, records

        dataset.reload()
        record = records.read(dataset, KEY)
        if record and feature_stores.is_there(record.features):
            return set(feature_stores.find(dataset, Path(record.features).name).ids)
        return set()
    return set(stored(dataset, mode))


def stored(dataset: Any, mode: str) -> dict[str, Any]:
    """What every image has stored, as one vector."""
    import numpy as np

    from detail_embed.fiftyone_bridge.index import names

    dataset.reload()
    few = names.patches_field(KEY)
    is_few = mode == "k vectors"
    field = few if is_few else names.vector_field(KEY)
    whole = names.vector_field(names.global_key(KEY))
    if not dataset.has_field(field) or not (is_few or dataset.has_field(whole)):
        return {}
    found = dataset.exists(field)
    if is_few:
        paths = [f"{few}.detections.{name}" for name in ("vector", "bounding_box")]
        rows = zip(*found.values(["id", *paths]))
        return {
            id: np.concatenate([*vectors, *map(np.asarray, boxes)])
            for id, vectors, boxes in rows
        }
    rows = zip(*found.values(["id", field, whole]))
    return {id: np.concatenate(pair) for id, *pair in rows if pair[1] is not None}


def halves(dataset: Any, mode: str) -> int:
    """Samples that have one of two vectors, or a vector and an error."""
    from detail_embed.fiftyone_bridge.index import names
    from detail_embed.fiftyone_bridge.samples.collection import ids_with

    names = [names.patches_field(KEY)]
    if mode != "k vectors":
        whole = names.global_key(KEY)
        names = [names.vector_field(KEY), names.vector_field(whole)]
    vectors = [ids_with(dataset, name) for name in names]
    every, some = set.intersection(*vectors), set.union(*vectors)
    return len(some - every) + len(every & ids_with(dataset, names.error_field(KEY)))


def compare(whole: dict, again: dict, outcome: Outcome) -> None:
    """Counts values that differ; an image that one of them lacks differs in all."""
    import numpy as np

    for id in again.keys() - whole.keys():
        outcome.differing += again[id].size
    for id, vector in whole.items():
        other = again.get(id, np.full_like(vector, np.inf))
        outcome.differing += int((vector != other).sum())
        furthest = float(np.abs(vector - other).max())
        outcome.furthest = max(outcome.furthest, furthest)


def answers(dataset: Any, ids: set[str]) -> bool:
    """Whether a text search by the index finds images, and all of them."""
    found = dataset.sort_by_similarity("a red cube", brain_key=KEY)
    return set(found.values("id")) == ids


if __name__ == "__main__":
    main()
