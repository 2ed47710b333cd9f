"""The benchmark of full patch search, on a few made-up patches."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("faiss", reason="faiss-cpu is not installed")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from _patch_search import data, run  # noqa: E402
from _patch_search.engines import BruteForce, Ours, RaBitQ1  # noqa: E402
from _patch_search.report import report  # noqa: E402

from detail_embed.features import FeatureStore  # noqa: E402


def patches(home, n):
    rng = torch.Generator().manual_seed(0)
    store = FeatureStore(home / "features", "demo", 32)
    features = F.normalize(torch.randn(n, 6, 32, generator=rng), dim=2)
    store.add([f"{i}" for i in range(n)], list(features),
              [np.zeros((6, 4))] * n, [np.ones(6)] * n)
    texts = F.normalize(torch.randn(7, 32, generator=rng), dim=1).numpy()
    best = data.exact(store, texts)
    return data.Patches(store, texts, best > np.quantile(best, 0.8), best)


def test_measures_and_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "real", lambda home, n: patches(home, n))
    monkeypatch.setattr(run, "ENGINES", [BruteForce, Ours, RaBitQ1])
    rows = run.run(tmp_path, [60, 200], tmp_path / "rows.csv", 1.0)
    assert [row["images"] for row in rows] == [60] * 5 + [200] * 5
    exact = rows[0]
    assert exact["recall_25"] == "1.000" and exact["map_share"] == "1.0000"
    assert float(rows[1]["bytes_per_patch"]) < 150
    monkeypatch.setattr(run, "_measure", None)
    again = run.run(tmp_path, [60, 200], tmp_path / "rows.csv", 1.0)
    assert again == list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert len(again) == 10 and "| brute force, float16 | 8" in report(again)


def test_leaves_out_what_would_take_too_long():
    small = {"engine": "IVF RaBitQ 1 bit", "images": "100", "build_s": "60", "note": ""}
    assert run._too_late(RaBitQ1, 1500, [small], 15) == []
    late = run._too_late(RaBitQ1, 1600, [small], 15)
    assert len(late) == 2 and "not built: 16 min" in late[1]["note"]
    late = [dict.fromkeys(run.COLUMNS, "") | row for row in late]
    assert "100 min" in run._too_late(RaBitQ1, 10000, [small, *late], 15)[0]["note"]


def test_resampled_patches_are_near_real_ones(tmp_path):
    few = patches(tmp_path / "few", 20)
    many = data.more(tmp_path, few, 70)
    real = torch.stack([few.store.features(id) for id in few.store.ids])
    for id in many.store.ids[::13]:
        cosines = (real * many.store.features(id)).sum(dim=2).amax(dim=0)
        assert 0.9 < cosines.min() and cosines.max() < 0.999
    assert many.best.shape == (7, 70)
