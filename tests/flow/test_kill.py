"""Runs that are killed, stopped, or lose their database: nothing is lost or wrong."""

import functools
import logging
import multiprocessing
import signal
import socket
import subprocess
import time
from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm.database as food
import numpy as np
import pytest
from fiftyone.core.service import DatabaseService

from benchmarks import kill
from benchmarks._kill.child import KEY, Child, embed, settings
from benchmarks._kill.stored import halves, stored
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples import mongo, sink
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

pytestmark = pytest.mark.slow


@pytest.fixture
def mixed(dataset, tmp_path):
    """12 images, and among them 3 files that cannot be read."""
    dataset.delete_samples(dataset.values("id")[9:21])
    truncated = tmp_path / "truncated.jpg"
    truncated.write_bytes(Path(dataset.first().filepath).read_bytes()[:2000])
    (tmp_path / "words.jpg").write_text("no image")
    for name, id in zip(("truncated", "words", "missing"), dataset.values("id")[3::4]):
        sample = dataset[id]
        sample.filepath = str(tmp_path / f"{name}.jpg")
        sample.save()
    return dataset


@pytest.mark.parametrize(
    "mode, kills", [("vectors", 1), ("kept features", 1), ("k vectors", 1)]
)
def test_sigkill_at_random_moments(mixed, mode, kills):
    outcome = kill.measure(mixed, mode, kills, seed=1)
    assert (outcome.kills, outcome.halves) == (kills, 0)
    assert outcome.runs >= 1
    assert 0 <= outcome.again <= outcome.allowed
    assert outcome.furthest <= 1e-6 and outcome.unanswered == 0


def test_after_a_kill_every_image_has_a_vector_or_an_error(mixed):
    dataset, mode = mixed, "vectors"
    child = Child(dataset.name, mode)
    wait_for(lambda: stored(dataset, mode) or not child.process.is_alive())
    child.kill()
    Child(dataset.name, mode).finish()
    good = set(stored(dataset, mode))
    failed = dict(zip(*dataset.exists("detail_error").values(["id", "detail_error"])))
    truncated, words, missing = failed.values()
    assert (truncated, missing) == ("is truncated", "is missing")
    assert words.startswith("is no image")
    assert len(good) == 9 and good.isdisjoint(failed)
    assert len(dataset.sort_by_similarity("red metal cube", brain_key="detail")) == 9


def test_sigterm_stops_a_run_that_keeps_what_it_wrote(dataset, capfd):
    child = Child(dataset.name, "vectors", functools.partial(loudly, 60))
    wait_for(lambda: len(stored(dataset, "vectors")) > 0)
    started = time.monotonic()
    child.process.terminate()
    child.process.join()
    assert time.monotonic() - started < 20
    assert child.process.exitcode == 128 + signal.SIGTERM
    assert "Stopped by SIGTERM: the vectors that were written" in capfd.readouterr().err
    kept = stored(dataset, "vectors")
    assert 0 < len(kept) < 24 and halves(dataset, "vectors") == 0
    compute_index.compute(
        Index(dataset, "detail"), dataset, settings("vectors"), also_global=True
    ).finish()
    now = stored(dataset, "vectors")
    assert len(now) == 24 and all((now[id] == v).all() for id, v in kept.items())
    compute_index.delete(Index(dataset, KEY))
    Child(dataset.name, "vectors").finish()
    assert is_equal(now, stored(dataset, "vectors"))


def test_mongodb_goes_away(scenes, tmp_path, capfd):
    database = Database(tmp_path)
    try:
        name = database.ask(make, scenes)
        impatient = functools.partial(elsewhere, database.uri, 3)
        gone = Child(name, "vectors", impatient)
        gone.wait_for_work()
        database.stop()
        gone.process.join()
        assert gone.process.exitcode == 1
        said = capfd.readouterr().err
        assert "MongoDB does not answer: waiting for it" in said
        assert "RuntimeError: MongoDB, where FiftyOne keeps its datasets" in said
        assert "Start it again" in said

        database.start()
        had = database.ask(count, name)
        assert had < 24
        patient = functools.partial(elsewhere, database.uri, mongo.WAIT)
        back = Child(name, "vectors", patient)
        back.wait_for_work()
        database.stop()
        time.sleep(1)
        database.start()
        back.finish()
        now = database.ask(vectors, name)
        database.ask(forget, name)
        Child(name, "vectors", patient).finish()
        assert len(now) == 24 and is_equal(now, database.ask(vectors, name))
    finally:
        database.stop()


def loudly(pause, *arguments):
    """Embeds with a log, and with pauses in which it can be stopped."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray, if tested before, has its own
    logging.basicConfig(force=True)
    write = sink.Sink.write

    def slowly(self, chunk):
        write(self, chunk)
        time.sleep(pause)

    sink.Sink.write = slowly
    embed(*arguments)


def elsewhere(uri, wait, *arguments):
    fo.config.database_uri = uri
    mongo.WAIT = wait
    loudly(0.3, *arguments)


def make(scenes):
    return load_clver_ds(scenes).name


def count(name):
    return len(vectors(name))


def vectors(name):
    return stored(fo.load_dataset(name), "vectors")


def forget(name):
    compute_index.delete(Index(fo.load_dataset(name), KEY))


def is_equal(some, others):
    return some.keys() == others.keys() and all(
        np.abs(vector - others[id]).max() <= 1e-6 for id, vector in some.items()
    )


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


class Database:
    """A mongod of one's own, that can be stopped and started."""

    def __init__(self, folder):
        self._folder = folder / "mongo"
        self._folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"mongodb://127.0.0.1:{self._port}/?serverSelectionTimeoutMS=2000"
        self.start()

    def start(self):
        where = ["--dbpath", self._folder, "--port", str(self._port), "--nounixsocket"]
        log = ["--bind_ip", "127.0.0.1", "--logpath", self._folder / "log"]
        self._process = subprocess.Popen(
            [DatabaseService.find_mongod(), *where, *log], stdout=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def stop(self):
        self._process.terminate()
        self._process.wait()

    def ask(self, function, *arguments):
        """Calls a function in a process that uses this database."""
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        target = functools.partial(self._answer, answers, function)
        process = context.Process(target=target, args=arguments)
        process.start()
        answer = answers.get(timeout=120)
        process.join()
        return answer

    def _answer(self, answers, function, *arguments):
        fo.config.database_uri = self.uri
        food._disconnect()
        answers.put(function(*arguments))
