"""One run at a time under a brain key, whatever happens to the one before."""

import multiprocessing
import os
import signal
import socket
import time
from datetime import timedelta

import fiftyone as fo
import fiftyone.core.odm.database as food
import pytest

from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs import lock as run_lock
from detail_embed.fiftyone_bridge.runs import processes
from detail_embed.fiftyone_bridge.runs.lock import RunLock

SETTINGS = Settings(
    backbone=DEMO, cover=1, fuser="mean", device="cpu", keep_features=False
)


@pytest.fixture
def empty():
    dataset = fo.Dataset()
    yield dataset
    dataset.delete()


def locks():
    return food.get_db_conn()[run_lock.COLLECTION]


def holders(dataset):
    lock = locks().find_one({"_id": f"{dataset._doc.id}/detail"})
    return lock["holders"] if lock else []


@pytest.fixture
def holder(empty, monkeypatch):
    """Makes a second process that holds the lock, and waits until it does."""
    monkeypatch.setattr(run_lock, "_BEAT", 0.1)
    made = []

    def make(shard=None):
        process = multiprocessing.get_context("fork").Process(
            target=hold, args=(empty, shard)
        )
        count = len(holders(empty))
        process.start()
        made.append(process)
        deadline = time.monotonic() + 60
        while len(holders(empty)) == count and time.monotonic() < deadline:
            time.sleep(0.01)
        return process

    yield make
    for process in made:
        process.kill()
        process.join()


def hold(dataset, shard):
    food._disconnect()  # the connections of the parent
    with RunLock(dataset, "detail", "a computation", shard):
        time.sleep(600)


def kill(process):
    process.kill()
    process.join()


def test_a_second_process_is_named(empty, holder):
    process = holder()
    words = f"a computation of process {process.pid} on {socket.gethostname()} since 20"
    with pytest.raises(ValueError, match=words) as error:
        RunLock(empty, "detail").__enter__()
    assert "Wait until that has ended, or end that process" in str(error.value)
    with pytest.raises(ValueError, match="is being written by"):
        run_lock.check_free(empty, "detail", shard=(0, 2))
    with RunLock(empty, "other"):
        run_lock.check_free(empty, "detail2")


def test_the_lock_of_a_killed_process_is_taken_over(empty, holder, caplog):
    process = holder()
    kill(process)
    with RunLock(empty, "detail"):
        assert [entry["pid"] for entry in holders(empty)] == [os.getpid()]
    assert f"process {process.pid} on" in caplog.text
    assert "that process is gone" in caplog.text
    assert holders(empty) == []


def test_a_process_that_its_parent_has_not_collected_is_gone(empty, holder):
    process = holder()
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended
    run_lock.check_free(empty, "detail")


def test_a_process_id_that_was_given_anew_is_not_the_holder(empty, holder):
    process = holder()
    with pytest.raises(ValueError):
        run_lock.check_free(empty, "detail")
    os.kill(process.pid, signal.SIGSTOP)  # it renews nothing any more
    with pytest.raises(ValueError):
        run_lock.check_free(empty, "detail")
    locks().update_many({}, {"$inc": {"holders.$[].born": -1}})
    run_lock.check_free(empty, "detail")


@pytest.mark.parametrize("change", [{"born": -1}, {"pid": 4194400}])
def test_who_renews_the_lock_lives_whatever_its_process_id(empty, holder, change):
    """As of two containers whose place cannot be told apart."""
    holder()
    locks().update_many({}, {"$inc": {f"holders.$[].{k}": change[k] for k in change}})
    with pytest.raises(ValueError, match="is being written by"):
        run_lock.check_free(empty, "detail")
    assert len(holders(empty)) == 1


def test_hosts_of_one_name_are_two_places(tmp_path, monkeypatch):
    host, *ids, namespace = here = processes.place()
    assert host == socket.gethostname() and all(ids) and len(ids) in (1, 2)
    other = tmp_path / "boot_id"
    other.write_text("0f1e\n")
    monkeypatch.setattr(processes, "_IDS", (other, tmp_path / "missing"))
    processes.place.cache_clear()
    assert processes.place() == [host, "0f1e", namespace] != here
    monkeypatch.setattr(processes, "_IDS", ())
    processes.place.cache_clear()
    assert len(processes.place()) == 3 and processes.place()[1]
    processes.place.cache_clear()


def test_the_start_of_a_process_is_no_matter_of_the_clock(monkeypatch):
    me = processes.this_process()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 5.0, raising=False)
    monkeypatch.setattr("psutil.boot_time", lambda: 5.0)
    assert not processes.is_gone(me["pid"], me["born"])
    assert processes.is_gone(me["pid"], me["born"] + 2)


def test_another_host_is_dead_after_a_silence(empty, holder, caplog):
    kill(holder())
    locks().update_many({}, {"$set": {"holders.$[].place": ["elsewhere", 1]}})
    with pytest.raises(ValueError, match="on elsewhere since .* wait 5 minutes"):
        run_lock.check_free(empty, "detail")
    long_ago = holders(empty)[0]["beat"] - 2 * run_lock.SILENT_AFTER
    locks().update_many({}, {"$set": {"holders.$[].beat": long_ago}})
    run_lock.check_free(empty, "detail")
    assert "nothing was heard of it for 10 minutes" in caplog.text


def test_shards_of_one_run_hold_together(empty, holder):
    holder(shard=(0, 3))
    with RunLock(empty, "detail", shard=(2, 3)):
        assert len(holders(empty)) == 2
        for other in ((0, 3), (2, 3), (1, 2), None):
            with pytest.raises(ValueError, match="shard . of 3"):
                RunLock(empty, "detail", shard=other).__enter__()
        with RunLock(empty, "detail", shard=(1, 3)):
            assert len(holders(empty)) == 3
    assert len(holders(empty)) == 1


def test_of_many_at_once_one_gets_it(empty):
    got, barrier = multiprocessing.Queue(), multiprocessing.Barrier(4)
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=race, args=(empty, barrier, got)) for _ in "1234"]
    for racer in racers:
        racer.start()
    assert sorted(got.get(timeout=60) for _ in racers) == [False, False, False, True]
    for racer in racers:
        racer.join()


def race(dataset, barrier, got):
    food._disconnect()
    food.get_db_conn()
    barrier.wait()
    try:
        with RunLock(dataset, "detail"):
            got.put(True)
            barrier.wait()
    except ValueError:
        got.put(False)
        barrier.wait()


def test_a_long_step_keeps_the_lock_and_a_lost_one_ends_the_run(empty, monkeypatch):
    monkeypatch.setattr(run_lock, "_BEAT", 0.02)
    with RunLock(empty, "detail") as lock:
        first = holders(empty)[0]["beat"]
        time.sleep(0.3)
        assert holders(empty)[0]["beat"] - first > timedelta(milliseconds=50)
        lock.check()
        locks().delete_many({})
        time.sleep(0.3)
        with pytest.raises(RuntimeError, match="another run took over the lock"):
            lock.check()


def test_a_run_holds_the_lock_until_it_is_closed(dataset):
    run = iter(compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS))
    next(run)
    with pytest.raises(ValueError, match="a computation of process"):
        compute_index.compute(Index(dataset, "detail"), dataset, SETTINGS)
    run.close()
    assert compute_index.compute(
        Index(dataset, "detail"), dataset, SETTINGS
    ).finish().embedded == 24
    assert holders(dataset) == []
