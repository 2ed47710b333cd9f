"""An index that version 0.1 of detail-embed computed, put into this FiftyOne.

Nothing of the library is imported here: the folder ``old_index`` is all that the older
version left; FiftyOne and the environment say where it belongs.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from safetensors.numpy import load_file

OLD_INDEX = Path(__file__).with_name("old_index")
KEYS = ("detail", "detail_global", "few")
FEATURES = "{DATA}/features/{DATASET}"  # stands for a folder in saved records

_SOURCE = ("detail", "detail-embed")  # of zoo models, below the model zoo
_MANIFEST = "manifest.json"


def restore(folder: str | Path, name: str | None = None) -> fo.Dataset:
    """Puts the old index into FiftyOne's database, its zoo and the data folder.

    The zoo is ``fo.config.model_zoo_dir``, the data folder ``$DETAIL_EMBED_DATA``.

    Args:
        folder: a new folder, for the images
        name (None): of the dataset; made up where None

    Returns:
        a persistent dataset of 10 images, 8 of them in the indexes ``KEYS``; delete it
        when done

    Raises:
        FileExistsError: if the folder exists
        KeyError: if ``$DETAIL_EMBED_DATA`` is not set
    """
    data = Path(os.environ["DETAIL_EMBED_DATA"])
    shutil.copytree(OLD_INDEX / "dataset", folder)
    dataset = fo.Dataset.from_dir(
        dataset_dir=str(folder),
        dataset_type=fo.types.FiftyOneDataset,
        name=name,
        persistent=True,
        progress=False,
    )
    features = data / "features" / str(dataset.first().dataset_id)
    shutil.copytree(OLD_INDEX / "features", features)
    _relocate(dataset, features)
    _restore_zoo(Path(fo.config.model_zoo_dir).joinpath(*_SOURCE))
    return dataset


def expected() -> dict[str, Any]:
    """What version 0.1 found; the README says what is what."""
    return json.loads((OLD_INDEX / "expected.json").read_text("utf-8"))


def expected_vectors() -> dict[str, np.ndarray]:
    """The vectors of version 0.1, float32; the README says what is what."""
    return load_file(OLD_INDEX / "vectors.safetensors")


def _relocate(dataset: fo.Dataset, features: Path) -> None:
    """Writes into the records where the patch features lie now."""
    for key in dataset.list_runs(method="detail_embed"):
        config = dataset.get_run_info(key).config
        config.features = config.features.replace(FEATURES, str(features))
        dataset.update_run_config(key, config)


def _restore_zoo(zoo: Path) -> None:
    """Copies the source of zoo models; models that are there stay listed."""
    skip = shutil.ignore_patterns(_MANIFEST)
    shutil.copytree(OLD_INDEX / "zoo", zoo, ignore=skip, dirs_exist_ok=True)
    manifest = json.loads((OLD_INDEX / "zoo" / _MANIFEST).read_text("utf-8"))
    target = zoo / _MANIFEST
    if target.is_file():
        had = json.loads(target.read_text("utf-8"))["models"]
        manifest["models"] += [m for m in had if m not in manifest["models"]]
    partial = target.with_suffix(".part")
    partial.write_text(json.dumps(manifest), "utf-8")
    partial.replace(target)
