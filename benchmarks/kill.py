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
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._kill.child import (  # noqa: E402
    BATCH,
    CHUNK,
    KEY,
    MODES,
    PATCHES,
    Child,
)
from benchmarks._kill.stored import halves, held, stored  # noqa: E402
from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

_PAUSE = 0.3  # seconds until a kill, at most, once so many images are encoded


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        open_home(Path(folder) / "home")
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
    allowed: int = CHUNK + math.ceil(BATCH / PATCHES)
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
    """Kills children that embed a dataset, and compares what they store."""
    from detail_embed.fiftyone_bridge.compute import compute_index
    from detail_embed.fiftyone_bridge.index.index import Index

    outcome, chance = Outcome(mode), random.Random(seed)
    started = time.monotonic()
    compute_index.delete(Index(dataset, KEY))
    Child(dataset.name, mode).finish()
    whole = stored(dataset, mode)
    if not whole:
        raise RuntimeError("an unbroken run stored nothing")
    compute_index.delete(Index(dataset, KEY))
    while outcome.kills < kills:
        before = len(held(dataset, mode))
        child = Child(dataset.name, mode)
        child.wait_for_work(chance.uniform(0, len(whole) - before))
        time.sleep(chance.uniform(0, _PAUSE))
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
            compute_index.delete(Index(dataset, KEY))
    outcome.seconds = time.monotonic() - started
    return outcome


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
