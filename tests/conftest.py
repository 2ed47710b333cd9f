"""Tests run in a FiftyOne home of their own, with a real MongoDB.

Each worker of pytest-xdist has its own home and database, and one thread for numbers:
two workers with two threads each wait for each other most of the time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from detail_embed.demo.fiftyone_home import isolate

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DETAIL_EMBED_CPU_WAY", "torch fp32")  # no result by chance
isolate(Path(__file__).resolve().parents[1] / ".test-home" / (WORKER or "main"))

pytest_plugins = ["tests.file_plugin", "tests.hanging", "tests.store_plugin"]
settings.register_profile(  # no test fails because the machine is busy
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


def pytest_collection(session):
    """Starts the database, in each process that runs tests."""
    if WORKER or not session.config.getoption("numprocesses", None):
        from detail_embed.demo.home_database import start_database

        start_database()


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A folder with 24 small CLVER-DS scenes."""
    from detail_embed import clver_ds

    folder = tmp_path_factory.mktemp("scenes")
    clver_ds.generate(folder, 24, bank="solids", size=256, scales=(0.15, 0.25))
    return folder


@pytest.fixture(scope="session")
def loaded(scenes):
    """The scenes as a FiftyOne dataset that no test may change."""
    from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

    dataset = load_clver_ds(scenes)
    yield dataset
    dataset.delete()


@pytest.fixture
def dataset(loaded):
    """The scenes as a FiftyOne dataset that is deleted after the test."""
    dataset = loaded.clone(persistent=True)
    yield dataset
    dataset.delete()


@pytest.fixture
def make_pictures(scenes):
    """Makes datasets of the first scenes, without labels, deleted after the test."""
    import fiftyone as fo

    made = []

    def make(count):
        made.append(fo.Dataset(persistent=True))
        paths = sorted((scenes / "images").iterdir())[:count]
        made[-1].add_samples([fo.Sample(filepath=str(path)) for path in paths])
        return made[-1]

    yield make
    for one in made:
        one.delete()


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A backbone with random weights that encodes at once."""
    from tests.tiny import tiny_backbone

    return tiny_backbone(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def bare_python(tmp_path):
    """Runs code in a new Python process that cannot import the checkout."""

    def run(code, *args, **env):
        return subprocess.run(
            [sys.executable, "-c", code, *args],
            cwd=tmp_path,
            env=os.environ | env,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def zygote():
    """Forks processes that have imported torch, see :mod:`tests.zygote`."""
    script = Path(__file__).with_name("zygote.py")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, script], text=True, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.fixture(scope="session")
def fresh_python(zygote, tmp_path_factory):
    """As bare_python, but torch and open_clip are imported; in a folder, if wanted."""

    def run(code, *args, folder=None, **env):
        own = tmp_path_factory.mktemp("process")
        paths = [str(own / name) for name in ("stdout", "stderr")]
        asked = code, [*map(str, args)], str(folder or own), os.environ | env, *paths
        print(json.dumps(asked), file=zygote.stdin, flush=True)
        status = int(zygote.stdout.readline())
        texts = (Path(path).read_text("utf-8") for path in paths)
        return subprocess.CompletedProcess(code, status, *texts)

    return run


@pytest.fixture
def other_kernel(monkeypatch):
    """Products whose last bit depends on the place in them, as AVX-512's does."""
    import torch

    def product(left, right):
        exact = torch.matmul(left, right)
        place = torch.arange(exact.numel()).view(exact.shape)
        return exact * (1 + (place % 5 - 2) * torch.finfo(exact.dtype).eps)

    monkeypatch.setattr(torch.Tensor, "__matmul__", product)
