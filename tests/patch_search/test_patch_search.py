"""Full patch search against brute force, round trips, new images, bad input."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from detail_embed.features import FeatureStore

pytest.importorskip("faiss", reason="faiss-cpu is not installed")
from detail_embed.patch_search import PatchIndex  # noqa: E402

DIM, PATCHES = 64, 6
MAPS = Path("/proc/self/maps")


def fill(folder, n=200, slug="clip-cc3", seed=0):
    """A store of images whose patches lie around few centres."""
    rng = torch.Generator().manual_seed(seed)
    centres = torch.randn(20, DIM, generator=rng)
    store = FeatureStore(folder, slug, DIM)
    which = torch.randint(0, 20, (n, PATCHES), generator=rng)
    noise = torch.randn(n, PATCHES, DIM, generator=rng)
    features = F.normalize(centres[which] + noise, dim=2)
    store.add([f"{seed}-{i}" for i in range(n)], list(features),
              [np.zeros((PATCHES, 4))] * n, [np.ones(PATCHES)] * n)
    return store


def queries(q=20, seed=9):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(q, DIM)).astype(np.float32)


def test_finds_what_brute_force_finds(tmp_path):
    store = fill(tmp_path / "store")
    index = PatchIndex.build(store, tmp_path / "index")
    texts = queries()
    ids, scores, patches = index.search(texts, k=10)
    exact = {id: texts @ store[id].features.numpy().T for id in store}
    shares = []
    for q, found in enumerate(ids):
        best = sorted(exact, key=lambda id: -exact[id][q].max())[:10]
        shares.append(len(set(found) & set(best)) / 10)
        for rank, id in enumerate(found):
            assert scores[q, rank] == pytest.approx(exact[id][q].max(), abs=1e-4)
            assert patches[q, rank] == exact[id][q].argmax()
    assert np.mean(shares) >= 0.8 and (np.diff(scores) <= 0).all()


def test_round_trip_and_new_images(tmp_path):
    store = fill(tmp_path / "store")
    index = PatchIndex.build(store, tmp_path / "index")
    fill(tmp_path / "store", n=10, seed=1)
    store = FeatureStore.open(tmp_path / "store")
    index.add(store, [f"1-{i}" for i in range(10)])
    again = PatchIndex.open(tmp_path / "index")
    assert len(again) == 210 and again.num_bytes > 0
    ids, scores, patches = again.search(store["1-3"].features[2:3].numpy(), k=3)
    assert ids[0][0] == "1-3" and patches[0, 0] == 2
    assert scores[0, 0] == pytest.approx(1, abs=1e-2)
    assert index.search(queries(), 5)[0] == again.search(queries(), 5)[0]
    with pytest.raises(ValueError, match="already"):
        again.add(store, ["1-3"])
    with pytest.raises(KeyError, match="nothing"):
        again.add(store, ["nothing"])


def test_bad_input_is_refused(tmp_path):
    store = fill(tmp_path / "store", n=30)
    index = PatchIndex.build(store, tmp_path / "index")
    other = fill(tmp_path / "other", n=3, slug="siglip-cc3", seed=2)
    with pytest.raises(ValueError, match="clip-cc3.*siglip-cc3"):
        index.add(other, other.ids)
    with pytest.raises(ValueError, match="holds no images"):
        PatchIndex.build(FeatureStore(tmp_path / "none", "x", DIM), tmp_path / "i")
    with pytest.raises(ValueError, match="holds 30 images"):
        index.search(queries(), k=31)
    with pytest.raises(ValueError, match=r"give \(q, 64\)"):
        index.search(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="NaN"):
        index.search(np.full((1, DIM), np.nan))
    with pytest.raises(ValueError, match="no patch index"):
        PatchIndex.open(tmp_path / "none")


def test_damage_is_noticed(tmp_path):
    index = PatchIndex.build(fill(tmp_path / "store", n=30), tmp_path / "index")
    index.verify()
    path = tmp_path / "index" / "patches.faiss"
    data = path.read_bytes()
    path.unlink()  # what is mapped stays as it was
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ValueError, match="checksum"):
        PatchIndex.open(tmp_path / "index").verify()
    path.write_bytes(data[:-5])
    with pytest.raises(ValueError, match="damaged.*bytes, not"):
        PatchIndex.open(tmp_path / "index")
    path.write_bytes(bytes(len(data)))
    with pytest.raises(ValueError, match="damaged"):
        PatchIndex.open(tmp_path / "index")


def test_moves_with_its_store(tmp_path):
    store = fill(tmp_path / "here" / "store", n=30)
    before = PatchIndex.build(store, tmp_path / "here" / "index").search(queries(), 5)
    (tmp_path / "here").rename(tmp_path / "there")
    after = PatchIndex.open(tmp_path / "there" / "index").search(queries(), 5)
    assert after[0] == before[0]
    (tmp_path / "there" / "store").rename(tmp_path / "lost")
    with pytest.raises(ValueError, match="not a feature store"):
        PatchIndex.open(tmp_path / "there" / "index")


def test_is_mapped_and_as_small_as_it_says(tmp_path):
    store = fill(tmp_path / "store", n=1000)
    index = PatchIndex.build(store, tmp_path / "index")
    name = str((tmp_path / "index" / "patches.faiss").resolve())
    if MAPS.exists():
        assert name in MAPS.read_text()
    centres = 4 * DIM * index._index.nlist
    patches = len(store) * PATCHES * (DIM / 4 + 28)
    size = (tmp_path / "index" / "patches.faiss").stat().st_size
    assert patches + centres < size < patches + centres + 16 * DIM + 10_000


def test_says_what_to_install(tmp_path, monkeypatch):
    store = fill(tmp_path / "store", n=3)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="pip install"):
        PatchIndex.build(store, tmp_path / "index")
