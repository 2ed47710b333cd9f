"""CPUs of this process: what it is bound to, within the quota of its container."""

import os
import subprocess
import sys
import time

import pytest

from detail_embed.images import cpus as module
from detail_embed.images.cpus import OtherWork, cpus, decoding_threads, within_quota


@pytest.fixture
def machine(tmp_path):
    """Makes the folders of a machine: what the process is in, and files."""

    def make(groups, files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


V1 = "12:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/\n"
PERIOD = "cpu,cpuacct/docker/a/cpu.cfs_period_us"


@pytest.mark.parametrize("groups, files, wanted", [
    ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
    ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
    ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
    ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
    ("0::/\n", {}, 64),
    ("0::/a.slice/b.scope\n", {"a.slice/b.scope/cpu.max": "400000 100000"}, 4),
    ("0::/a.slice/b.scope\n", {"a.slice/b.scope/cpu.max": "max 100000",
                               "a.slice/cpu.max": "300000 100000"}, 3),
    ("0::/not/mounted\n", {"cpu.max": "500000 100000"}, 5),
    (V1, {"cpu,cpuacct/docker/a/cpu.cfs_quota_us": "600000", PERIOD: "100000"}, 6),
    (V1, {"cpu,cpuacct/docker/a/cpu.cfs_quota_us": "-1", PERIOD: "100000"}, 64),
    (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "150000",
          "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 2),
    (V1, {}, 64),
])
def test_a_quota_bounds_the_threads(machine, groups, files, wanted):
    assert within_quota(64, machine(groups, files)) == wanted


def test_where_there_are_no_control_groups_nothing_is_bounded(tmp_path):
    assert within_quota(64, tmp_path) == 64


def test_a_quota_is_no_more_than_the_cpus_that_there_are(machine):
    assert cpus(machine("0::/\n", {"cpu.max": "99900000 100000"})) == module._bound()
    assert 1 <= cpus() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("cpus, gpus, wanted", [
    (1, 0, 1), (2, 1, 2), (8, 0, 8), (64, 0, 8), (64, 1, 8), (64, 4, 32),
    (64, 8, 64), (24, 8, 24), (0, 1, 1),
])
def test_eight_threads_a_gpu_decode_as_far_as_there_are_cpus(cpus, gpus, wanted):
    assert decoding_threads(cpus, gpus) == wanted


def test_the_work_of_others_is_told_from_our_own():
    ours = OtherWork()
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass
    assert 0 <= ours.share() <= 1
    others, started = OtherWork(), time.monotonic()
    command = "import time\nend = time.process_time() + 1\n" \
              "while time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", command], check=True)
    seconds = others.share() * (time.monotonic() - started) * (os.cpu_count() or 1)
    assert seconds > 0.9


def test_a_share_counts_all_but_idle_and_waiting(tmp_path, monkeypatch):
    (tmp_path / "proc").mkdir()
    stat = tmp_path / "proc/stat"
    stat.write_text("cpu  100 0 100 5000 300 0 0 0 0 0\ncpu0 1 1\n")
    clock = iter([10.0, 20.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(module.time, "process_time", lambda: 7.0)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)
    work = OtherWork(tmp_path)
    ticks = os.sysconf("SC_CLK_TCK")
    stat.write_text(f"cpu  {100 + 4 * ticks} 0 100 9000 900 0 0 {6 * ticks} 0 0\n")
    assert work.share() == pytest.approx(10 / 40)


def test_where_nothing_is_said_of_others_there_are_none(tmp_path):
    assert OtherWork(tmp_path).share() == 0
