"""Files whose reading hangs, as on a network that does not answer."""

import io
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from detail_embed.images import image_file, read_pool
from detail_embed.images.pixel_budget import PixelBudget
from detail_embed.images.reader import read_images

LIMIT = 2.0
RUN = """
import io, sys
from detail_embed.images import image_file
from detail_embed.images.reader import read_images
image_file.open_file = lambda path: io.BytesIO(open(path, "rb").read())
for found in read_images(sys.argv[1:], num_workers=1, read_seconds=0.5):
    print(found.error.reason if found.error else found.pixels.shape)
"""


@pytest.fixture
def pipe(tmp_path):
    """Makes FIFOs that open, but never deliver; they do once a test has ended."""
    writers = []

    def make(name):
        path = tmp_path / name
        os.mkfifo(path)
        writers.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        return path

    yield make
    for writer in writers:
        os.close(writer)


@pytest.fixture
def opens_pipes(monkeypatch):
    def open_any(path):
        if os.path.basename(path).startswith("fifo"):
            with open(path, "rb") as fifo:
                return io.BytesIO(fifo.read())  # never comes
        return open_file(path)

    open_file = image_file.open_file
    monkeypatch.setattr(image_file, "open_file", open_any)


def pictures(folder, n):
    paths = [folder / f"{i}.png" for i in range(n)]
    for i, path in enumerate(paths):
        Image.fromarray(np.full((6, 8, 3), i % 256, np.uint8)).save(path)
    return paths


def test_a_file_that_hangs_is_a_record_and_the_others_are_read(
    pipe, opens_pipes, tmp_path
):
    paths = pictures(tmp_path, 12)
    paths[3:3] = [pipe("fifo")]
    began = time.monotonic()
    found = list(read_images(paths, 2, read_seconds=LIMIT))
    assert LIMIT <= time.monotonic() - began < 3 * LIMIT
    assert [r.index for r in found] == list(range(13))
    assert found[3].pixels is None
    assert found[3].error.reason.startswith("could not be read within 2 s: its disk")
    assert [r.pixels[0, 0, 0] for r in found if r.error is None] == list(range(12))


@pytest.mark.slow
def test_many_that_hang_take_as_long_as_one(pipe, opens_pipes, tmp_path, caplog):
    paths = pictures(tmp_path, 120)
    for i in range(30):
        paths[i * 5 : i * 5] = [pipe(f"fifo{i}")]
    began = time.monotonic()
    budget = PixelBudget(2**20)
    found = []
    for decoded in read_images(paths, 2, budget=budget, read_seconds=6):
        found.append(decoded)
        if decoded.pixels is not None:
            budget.give(48)
    assert time.monotonic() - began < 20
    assert [r.path for r in found] == paths
    assert sum(r.error is not None for r in found) == 30
    assert ": nothing came for 5 s, the disk or network may not answer" in caplog.text
    hung = [t for t in threading.enumerate() if t.name.startswith("detail-read")]
    assert all(thread.daemon for thread in hung) and len(hung) <= 32


@pytest.mark.slow
def test_good_files_are_read_after_more_have_hung_than_wait_at_once(
    pipe, opens_pipes, tmp_path, monkeypatch
):
    monkeypatch.setattr(read_pool, "_HANGING", 4)
    paths = pictures(tmp_path, 40)
    for i in range(20):
        paths[2 * i : 2 * i] = [pipe(f"fifo{i}")]
    found = list(read_images(paths, 2, budget=PixelBudget(2**20), read_seconds=1.5))
    assert [r.error is not None for r in found] == [
        path.name.startswith("fifo") for path in paths
    ]


@pytest.mark.slow
def test_where_all_threads_hang_the_run_ends_all_the_same(
    pipe, opens_pipes, tmp_path, monkeypatch
):
    monkeypatch.setattr(read_pool, "_HANGING", 2)
    monkeypatch.setattr(read_pool, "_GIVEN_UP", 4)
    paths = [pipe(f"fifo{i}") for i in range(20)]
    found = list(read_images(paths, 1, budget=PixelBudget(2**20), read_seconds=1.5))
    assert all(r.error is not None for r in found) and len(found) == 20


def test_a_process_ends_though_a_read_hangs(pipe, tmp_path):
    path, picture = pipe("fifo"), pictures(tmp_path, 1)[0]
    env = os.environ | {"PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", RUN, path, picture], capture_output=True, text=True,
        timeout=120, env=env,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("could not be read within 0.5 s")
    assert second == "(6, 8, 3)"


def test_time_that_decoding_takes_is_not_counted(tmp_path, monkeypatch):
    def slow(*args):
        until = time.thread_time() + 0.6
        while time.thread_time() < until:
            pass
        return decode(*args)

    from detail_embed.images import reader

    decode = reader.decode_pixels
    monkeypatch.setattr(reader, "decode_pixels", slow)
    (found,) = read_images(pictures(tmp_path, 1), 1, read_seconds=5)
    assert found.error is None


@pytest.mark.parametrize("wrong", [0, -1, True, float("nan"), "60"])
def test_a_limit_that_is_none_is_named(wrong):
    with pytest.raises(ValueError, match="read_seconds=.*give the most seconds"):
        read_images([], read_seconds=wrong)
