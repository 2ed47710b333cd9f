"""The feature store: round trips, damage, other spaces, full disks."""

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from detail_embed.features import FeatureStore
from detail_embed.features.packing import estimate_bytes

ROOT = Path(__file__).resolve().parents[2]
DIM = 8


def make(folder, dtype="float16", dim=DIM, slug="clip-cc3"):
    return FeatureStore(folder, slug, dim, dtype)


def images(counts, dim=DIM, seed=0):
    """Unit features, boxes and levels of images with so many patches."""
    rng = torch.Generator().manual_seed(seed)
    features = [F.normalize(torch.randn(p, dim, generator=rng), dim=1) for p in counts]
    boxes = [torch.randint(0, 9000, (p, 4), generator=rng).numpy() for p in counts]
    levels = [torch.randint(1, 15, (p,), generator=rng).numpy() for p in counts]
    return features, boxes, levels


def fill(folder, *shards, dtype="float16"):
    """A store with shards of images of 3 patches."""
    store = make(folder, dtype)
    for seed, ids in enumerate(shards):
        store.add(ids, *images([3] * len(ids), seed=seed))
    return store


def shard_of(folder, id):
    """The file that an image is in."""
    return next(f for f in Path(folder).glob("shard_*.safetensors")
                if f'"{id}'.encode() in f.read_bytes().replace(b'\\"', b'"'))


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    dtype=st.sampled_from(["float16", "int8"]),
    names=st.lists(st.text(max_size=20), min_size=5, max_size=5, unique=True),
    seed=st.integers(0, 2**31),
)
def test_round_trip(tmp_path_factory, counts, dtype, names, seed):
    folder = tmp_path_factory.mktemp("store")
    ids = names[: len(counts)]
    features, boxes, levels = images(counts, seed=seed)
    make(folder, dtype).add(ids, features, boxes, levels)
    store = FeatureStore.open(folder)
    assert store.ids == ids and len(store) == len(ids) and ids[0] in store
    step = 2**-11 if dtype == "float16" else 0.5 / 127
    for id, f, b, m in zip(ids, features, boxes, levels):
        found = store[id]
        assert found.id == id and found.features.dtype == torch.float32
        most = f.abs().amax(dim=1, keepdim=True) * step * 1.01 + 1e-7
        assert ((found.features - f).abs() <= most).all()
        assert found.boxes.dtype == np.int32 and np.array_equal(found.boxes, b)
        assert np.array_equal(found.levels, m)


def test_zero_vectors_and_any_length_keep_their_value_in_int8(tmp_path):
    features = torch.tensor([[0.0] * DIM, [300.0] * DIM, [1e-6] * DIM])
    store = make(tmp_path, "int8")
    store.add(["a"], [features], [np.zeros((3, 4))], [np.ones(3)])
    assert torch.allclose(store["a"].features, features)


def test_a_store_opens_with_its_own_label(tmp_path):
    assert make(tmp_path, "int8").dtype == "int8"
    store = FeatureStore.open(tmp_path)
    assert (store.slug, store.dim, store.dtype) == ("clip-cc3", DIM, "int8")
    assert store.ids == [] and store.num_bytes == 0 and "a" not in store
    with pytest.raises(KeyError, match="gone"):
        store["gone"]


def test_what_is_there_counts_from_every_shard(tmp_path):
    fill(tmp_path, ["a", "b"], ["c"])
    store = make(tmp_path)
    assert store.ids == ["a", "b", "c"]
    assert store.num_bytes == sum(
        f.stat().st_size for f in tmp_path.glob("shard_*.safetensors")
    )


def test_of_two_runs_the_later_wins(tmp_path):
    first, second = make(tmp_path), make(tmp_path)
    first.add(["a", "b"], *images([3, 3], seed=0))
    later = images([5, 4], seed=1)
    second.add(["b", "c"], *later)
    store = make(tmp_path)
    assert store.ids == ["a", "b", "c"] and len(store["b"].features) == 5
    shard_of(tmp_path, "c").write_bytes(b"")
    assert len(make(tmp_path)["b"].features) == 3


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_single_patches_are_those_of_the_images(tmp_path, dtype):
    store = fill(tmp_path, ["a", "b"], ["c", "d", "e"], dtype=dtype)
    ids, rows = ["d", "a", "e", "a", "c", "b"], [2, 0, 1, 2, 0, 1]
    wanted = torch.stack([store.features(id)[row] for id, row in zip(ids, rows)])
    assert torch.equal(store.patches(ids, rows), wanted)
    assert store.patches([], []).shape == (0, DIM)
    with pytest.raises(KeyError):
        store.patches(["nobody"], [0])


def test_batches_are_padded_and_masked(tmp_path):
    store = make(tmp_path)
    counts = [3, 1, 5]
    features, boxes, levels = images(counts)
    store.add(["a", "b", "c"], features, boxes, levels)
    batch, mask = store.batch(["c", "a", "b"])
    assert batch.shape == (3, 5, DIM) and batch.dtype == torch.float32
    assert mask.dtype == torch.bool and mask.sum(1).tolist() == [5, 3, 1]
    assert mask[1].tolist() == [True] * 3 + [False] * 2
    assert not batch[~mask].any()
    assert torch.allclose(batch[1, :3], features[0], atol=1e-3)
    empty, none = store.batch([])
    assert empty.shape == (0, 0, DIM) and none.shape == (0, 0)


READ_ONE = """
import resource, sys
from detail_embed.features import FeatureStore
store = FeatureStore.open(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert store["200"].features.shape == (100, 512)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_one_image_is_read_without_the_rest_of_its_shard(tmp_path, fresh_python):
    store = make(tmp_path, dim=512)
    ids = [str(i) for i in range(400)]
    store.add(ids, [torch.ones(100, 512)] * 400, [np.zeros((100, 4))] * 400,
              [np.ones(100)] * 400)
    assert store.num_bytes > 40e6
    done = fresh_python(READ_ONE, tmp_path, folder=ROOT)
    assert int(done.stdout) < 10_000, done.stderr  # KB


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-7], lambda b: b"", lambda b: b + b"x"]
)
def test_a_shard_of_wrong_length_is_gone_when_opened(tmp_path, damage, caplog):
    fill(tmp_path, ["a", "b"], ["c"])
    shard = shard_of(tmp_path, "a")
    shard.write_bytes(damage(shard.read_bytes()))
    store = make(tmp_path)
    assert store.ids == ["c"] and shard.name in caplog.text
    assert len(list(tmp_path.glob("*shard_*"))) == 2  # the other, and its label
    store.add(["a", "b"], *images([3, 3]))
    assert set(make(tmp_path).ids) == {"a", "b", "c"}


@pytest.mark.parametrize("label", [None, "", "{}", '{"bytes": "many"}', "[]"])
def test_a_shard_without_its_label_is_gone_when_opened(tmp_path, label, caplog):
    fill(tmp_path, ["a", "b"], ["c"])
    shard = shard_of(tmp_path, "a")
    if label is None:
        shard.with_suffix(".json").unlink()
    else:
        shard.with_suffix(".json").write_text(label)
    assert make(tmp_path).ids == ["c"] and shard.name in caplog.text


@pytest.mark.parametrize("place", [0, 40, 0.5, -1])
def test_a_flipped_byte_costs_its_own_shard_only(tmp_path, place, caplog):
    store = fill(tmp_path, ["a", "b"], ["c"])
    assert store.verify() == []
    shard = shard_of(tmp_path, "a")
    data = bytearray(shard.read_bytes())
    data[int(place * len(data)) if isinstance(place, float) else place] ^= 1
    shard.write_bytes(data)
    assert store.verify(progress=True) == ["a", "b"]
    assert shard.name in caplog.text and store.ids == ["c"]
    assert not shard.exists() and store["c"].features.shape == (3, DIM)
    store.add(["a", "b"], *images([3, 3]))
    assert store.verify() == [] and store["a"].features.shape == (3, DIM)


def test_a_shard_that_was_deleted_is_lost(tmp_path):
    store = fill(tmp_path, ["a", "b"], ["c"])
    shard_of(tmp_path, "c").unlink()
    assert store.verify() == ["c"]


KILLED = """
import os, signal, sys
from pathlib import Path
from detail_embed.features import FeatureStore
from tests.features.test_features import images

store = FeatureStore(sys.argv[1], "clip-cc3", 8)
store.add(["a"], *images([3]))
replace, left = Path.replace, [int(sys.argv[2])]

def replace_or_die(*args):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return replace(*args)

Path.replace = replace_or_die
store.add(["b"], *images([3]))
"""


@pytest.mark.parametrize("steps", [0, 1])
def test_a_run_killed_while_writing_leaves_a_good_store(tmp_path, steps, fresh_python):
    killed = fresh_python(KILLED, tmp_path, steps, folder=ROOT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = set(tmp_path.glob("*shard_*"))
    assert len(left) == 4
    assert make(tmp_path).ids == ["a"]
    assert set(tmp_path.glob("*shard_*")) == left  # another run might be at it
    an_hour_ago = time.time() - 3601
    for file in left:
        os.utime(file, (an_hour_ago, an_hour_ago))
    store = make(tmp_path)
    assert len(list(tmp_path.glob("*shard_*"))) == 2
    store.add(["b"], *images([3]))
    assert make(tmp_path).ids == ["a", "b"] and store.verify() == []


@pytest.mark.parametrize("file", ["safetensors", "json"])
def test_a_full_disk(tmp_path, monkeypatch, file):
    """The kernel's own ENOSPC, without root: /dev/full stands for the new file.

    RLIMIT_FSIZE would be another error (EFBIG), with room on the disk.
    """
    store = fill(tmp_path, ["a"])
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=7))
    token = uuid.UUID(int=7).hex
    link = tmp_path / f".shard_{token}.{file}.{token}.part"
    link.symlink_to("/dev/full")
    with pytest.raises(RuntimeError, match="disk full: .* needs .*MB, .*[MG]B free"):
        store.add(["b"], *images([3]))
    monkeypatch.undo()
    assert len(list(tmp_path.glob("*shard_*"))) == 2 and not link.is_symlink()
    assert store.ids == ["a"] and store.verify() == [] and make(tmp_path).ids == ["a"]
    store.add(["b"], *images([3]))
    assert make(tmp_path).ids == ["a", "b"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = fill(disk, ["a"])
        before = sorted(disk.iterdir())
        with pytest.raises(RuntimeError, match="disk full: .* needs .* free"):
            store.add(["b"], *images([3000]))
        assert sorted(disk.iterdir()) == before
        store.add(["b"], *images([3]))
        assert make(disk).ids == ["a", "b"] and make(disk).verify() == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_other_failures_leave_no_file_either(tmp_path, monkeypatch):
    store = fill(tmp_path, ["a"])
    before = sorted(tmp_path.iterdir())

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        store.add(["b"], *images([3]))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("change, old, new", [
    ({"slug": "other-cc3"}, "clip-cc3", "other-cc3"),
    ({"dim": 9}, "dim 8", "dim 9"),
    ({"dtype": "int8"}, "float16", "int8"),
])
def test_a_store_of_another_space_is_refused(tmp_path, change, old, new):
    fill(tmp_path, ["a"])
    with pytest.raises(ValueError) as error:
        make(tmp_path, **change)
    assert old in str(error.value) and new in str(error.value)
    assert FeatureStore.open(tmp_path).ids == ["a"]


def test_folders_that_are_no_store_are_refused(tmp_path):
    with pytest.raises(ValueError, match="store.json"):
        FeatureStore.open(tmp_path / "nothing")
    fill(tmp_path, ["a"])
    label = tmp_path / "store.json"
    good = label.read_text()
    for text, words in [
        (good[:-9], "damaged"), ("{}", "damaged"), ("[]", "damaged"),
        (good.replace('"format": 1', '"format": 99'), "format 99"),
    ]:
        label.write_text(text)
        with pytest.raises(ValueError, match=words):
            make(tmp_path)
    label.unlink()
    with pytest.raises(ValueError, match="is missing"):
        make(tmp_path)
    label.write_text(good)
    assert make(tmp_path).ids == ["a"]


@pytest.mark.parametrize("dtype", ["float16", "int8"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_bad_features_are_refused_by_name(tmp_path, dtype, value):
    store = make(tmp_path, dtype)
    features, boxes, levels = images([3, 3])
    features[1][2, 5] = value
    with pytest.raises(ValueError, match="features of bad hold NaN"):
        store.add(["good", "bad"], features, boxes, levels)
    assert store.ids == [] and not list(tmp_path.glob("*shard_*"))


def test_what_float16_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a hold NaN or values that are not finite"):
        make(tmp_path).add(
            ["a"], [torch.full((1, DIM), 7e4)], [np.zeros((1, 4))], [[1]]
        )


def test_bad_shapes_are_refused_by_name(tmp_path):
    store = make(tmp_path)
    features, boxes, levels = images([3])
    for bad in (
        ([torch.ones(3, 9)], boxes, levels),
        ([features[0][:2]], boxes, levels),
        (features, [boxes[0][:, :3]], levels),
        (features, boxes, [levels[0][:2]]),
        ([torch.ones(0, DIM)], [np.zeros((0, 4))], [[]]),
        ([torch.ones(DIM)], boxes, levels),
    ):
        with pytest.raises(ValueError, match="^a: features, boxes and levels"):
            store.add(["a"], *bad)
    with pytest.raises(ValueError, match="2 ids, 1 features"):
        store.add(["a", "b"], features, boxes, levels)
    with pytest.raises(TypeError, match="7 is no string"):
        store.add([7], features, boxes, levels)
    store.add([], [], [], [])
    assert not list(tmp_path.glob("shard_*"))


@pytest.mark.parametrize("dtype", ["float16", "int8"])
@pytest.mark.parametrize("dim", [256, 512])
def test_the_estimate_is_near_what_it_takes(tmp_path, dtype, dim):
    store = make(tmp_path, dtype, dim=dim)
    ids = [f"/data/images/of/some/length/{i:06d}.jpg" for i in range(20)]
    store.add(ids, *images([166] * 20, dim=dim))
    wanted = estimate_bytes(20, 166, dim, dtype)
    assert store.num_bytes == pytest.approx(wanted, rel=0.01)
    with pytest.raises(ValueError, match="dtype='float64'"):
        estimate_bytes(1, 1, dim, "float64")
