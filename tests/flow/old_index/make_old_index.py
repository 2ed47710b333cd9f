"""Makes the folder ``old_index`` beside this file, by version 0.1 of detail-embed.

It is kept to say where the folder comes from, and runs with the code of that version
only, in its checkout::

    PYTHONPATH=. .venv/bin/python <this file>
"""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from detail_embed.fiftyone_bridge.home import isolate
from detail_embed.user_data import data_directory
from safetensors.numpy import save_file

from detail_embed import __version__, clver_ds, demo

HOME = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
isolate(HOME.name)  # FiftyOne reads its settings when it is imported

# ruff: noqa: E402
import fiftyone as fo
import fiftyone.operators as foo
from detail_embed.fiftyone_bridge.datasets import load_clver_ds
from detail_embed.fiftyone_bridge.zoo import source_directory
from old_index import FEATURES, KEYS, OLD_INDEX
from old_index_searches import PLUGIN, file_names, search

IMAGES, INDEXED = 10, 8
SCENES = {"size": 256, "scales": (0.15, 0.2, 0.3), "objects": (3, 5)}
WORDS = ["frog", "giraffe", "stopwatch", "sushi", "red rubber torus", "blue metal dome"]
PROMPTS = [
    "frog",  # among WORDS
    "red rubber torus",
    "rhinoceros",  # not among WORDS
    "yellow metal cube",
    "red metal pyramid",  # in an image that only an update indexes
]
SPACE = {"backbone": demo.NAME, "cover": 2, "device": "cpu", "precision": "fp32"}
CLOSEST = 1e-3  # two scores nearer to each other may change places elsewhere


def main() -> None:
    """Runs the script."""
    dataset = _compute(Path(HOME.name) / "scenes")
    _save(dataset)
    found = {
        "made_with": _versions(),
        "images": file_names(dataset, dataset.values("id")),
        "indexed": INDEXED,
        "prompts": PROMPTS,
        "before": _search(dataset),
    }
    before = _vectors(dataset)
    _update(dataset)
    found["after"] = _search(dataset)
    _save_expected(found, before, _vectors(dataset))
    dataset.delete()


def _compute(folder: Path) -> fo.Dataset:
    """Makes the images, and the indexes on the first of them."""
    clver_ds.generate(folder, IMAGES, **SCENES)
    dataset = load_clver_ds(folder, "old-index", persistent=False)
    compute = foo.get_operator(f"{PLUGIN}/compute_detail_embeddings")
    compute(
        dataset[:INDEXED], brain_key="detail", fuser="ridge", proxies=WORDS,
        also_global=True, keep_features="float16", **SPACE,
    )
    compute(dataset[:INDEXED], brain_key="few", vectors=4, **SPACE)
    return dataset


def _save(dataset: fo.Dataset) -> None:
    """Writes what a user of version 0.1 has: dataset, zoo models, patch features."""
    for part in ("dataset", "zoo", "features"):
        shutil.rmtree(OLD_INDEX / part, ignore_errors=True)
    kind = fo.types.FiftyOneDataset
    dataset.export(str(OLD_INDEX / "dataset"), kind, export_media=True, progress=False)
    shutil.rmtree(OLD_INDEX / "dataset" / "fields")  # empty folders
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source_directory(), OLD_INDEX / "zoo", ignore=skip)
    features = data_directory() / "features" / str(dataset.first().dataset_id)
    shutil.copytree(features, OLD_INDEX / "features")
    records = OLD_INDEX / "dataset" / "metadata.json"
    text = records.read_text("utf-8").replace(str(features), FEATURES)
    records.write_text(text, "utf-8")


def _update(dataset: fo.Dataset) -> None:
    update = foo.get_operator(f"{PLUGIN}/update_index")
    for key in ("detail", "few"):
        update(dataset, key, device="cpu", precision="fp32")


def _search(dataset: fo.Dataset) -> dict[str, dict[str, dict[str, Any]]]:
    """What every way of searching finds, by brain key, prompt and way."""
    found = {key: {p: search(dataset, key, p) for p in PROMPTS} for key in KEYS}
    for key, prompts in found.items():
        for prompt, ways in prompts.items():
            for way, answer in ways.items():
                gaps = [a - b for a, b in pairwise(answer["scores"])]
                assert min(gaps) > CLOSEST, f"{key}, {prompt}, {way}: choose another"
    return found


def _vectors(dataset: fo.Dataset) -> dict[str, np.ndarray]:
    """The vectors in the order of the images, and of which image those of few are."""
    single = {
        key: np.stack(dataset.exists(f"{key}_embedding").values(f"{key}_embedding"))
        for key in ("detail", "detail_global")
    }
    few = dataset.exists("few_patches").values("few_patches.detections.vector")
    counts = [len(some) for some in few]
    return single | {
        "few": np.concatenate([np.stack(some) for some in few]),
        "few_images": np.repeat(np.arange(len(few)), counts),
    }


def _save_expected(
    found: dict[str, Any], before: dict[str, np.ndarray], after: dict[str, np.ndarray]
) -> None:
    for key, vectors in before.items():  # an update adds, and changes nothing
        np.testing.assert_array_equal(after[key][: len(vectors)], vectors)
    save_file(after, OLD_INDEX / "vectors.safetensors")
    text = json.dumps(found) + "\n"
    (OLD_INDEX / "expected.json").write_text(text, "utf-8")


def _versions() -> dict[str, str]:
    packages = ("fiftyone", "fiftyone-brain", "open_clip_torch", "torch")
    return {"detail-embed": __version__} | {name: version(name) for name in packages}


if __name__ == "__main__":
    main()
