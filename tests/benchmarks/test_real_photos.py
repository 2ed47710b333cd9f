"""The benchmark on photographs, from a folder to the table; nothing is downloaded."""

import os
import re
import shutil
from pathlib import Path

import fiftyone as fo
import fiftyone.zoo as foz
import numpy as np
import pytest
from fiftyone import ViewField as F

from benchmarks import real_photos
from detail_embed.backbone.bundled_model import NAME, WEIGHTS
from detail_embed.storage.user_folders import CACHE_VARIABLE

pytestmark = pytest.mark.slow

FIELD = "ground_truth"
ROOT = Path(__file__).resolve().parents[2]
RUN = """
import runpy, sys
sys.argv = ["real_photos.py", *sys.argv[1:]]
runpy.run_path("benchmarks/real_photos.py", run_name="__main__")
"""


@pytest.fixture
def home(tmp_path):
    """A home that shares the words that were encoded for other tests."""
    cache = Path(os.environ[CACHE_VARIABLE])
    cache.mkdir(parents=True, exist_ok=True)
    own = tmp_path / "home" / "detail-embed" / "cache"
    own.parent.mkdir(parents=True)
    own.symlink_to(cache)
    return tmp_path / "home"


def test_a_folder_and_a_checkpoint_file_end_in_the_table(
    loaded, home, tmp_path, fresh_python
):
    photos, classes = tmp_path / "photos", loaded.distinct(f"{FIELD}.detections.label")
    few = F("label").is_in(classes[:12])
    shown = loaded.filter_labels(FIELD, few, only_matches=False)
    shown.export(str(photos), fo.types.COCODetectionDataset, label_field=FIELD)
    weights = shutil.copy(WEIGHTS, tmp_path)
    asked = ["--dataset", photos, "--n", 12, "--home", home]
    backbone = f"{NAME}:{weights}"
    done = fresh_python(RUN, *asked, "--backbones", backbone, folder=ROOT)
    assert done.returncode == 0, done.stderr
    assert f"## {backbone}" in done.stdout and "Auto searched by" in done.stdout
    rows = dict(re.findall(r"^\| ([\w, ]+) \| ([\d.]+)", done.stdout, re.MULTILINE))
    found = {way: float(rows[way]) for way in rows}
    assert list(found)[:2] == ["words", "whole image"] and found["text search"] > 0
    assert found["panel, Auto"] > 0.95 * found["MaxSim"] > 0


def test_some_images_of_the_zoo_the_same_ones_each_time(dataset, monkeypatch):
    asked = []

    def load(*name, **choices):
        asked.append((name, choices))
        return dataset

    monkeypatch.setattr(foz, "load_zoo_dataset", load)
    photos = real_photos.load("coco-2017", "validation", 5, 3)
    choices = {"split": "validation", "max_samples": 5, "shuffle": True, "seed": 3}
    assert asked == [(("coco-2017",), choices)] and len(photos) == 5
    again = real_photos.load("coco-2017", "validation", 5, 3)
    assert again.values("filepath") == photos.values("filepath") and len(asked) == 1
    queries = real_photos.read_queries(photos, FIELD)
    shown = photos.distinct(f"{FIELD}.detections.label")
    assert queries.words == shown and [str(p) for p in queries.paths] == again.values(
        "filepath"
    )
    assert queries.target_scale.shape == (len(shown), 5)
    assert np.all((queries.target_scale > 0).any(axis=1))
    photos.delete()
