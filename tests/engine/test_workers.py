"""Workers that share the devices: order, errors, threads, an early end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import torch

from detail_embed.cover import CompleteCover
from detail_embed.engine import encode_files, workers
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.workers import compute_threads, run_in_workers, shares
from tests.tiny import tiny_backbone, write_images

SIZES = [(60, 60), (120, 40), (33, 77), (64, 64), (50, 90), (200, 10), (48, 48)]


@pytest.fixture
def backbone(tmp_path):
    return tiny_backbone(tmp_path)


@pytest.fixture(autouse=True)
def no_quota(monkeypatch):
    monkeypatch.setattr(workers, "within_quota", lambda threads: threads)


@pytest.fixture(params=[1, 2, 3])
def cores(request):
    """Threads that torch may use, as on a machine with so many cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(threads)


def slow_first(backbone, job, is_wanted):
    time.sleep(0.02 * (5 - job % 5))
    return job, threading.get_ident(), torch.get_num_threads()


def test_results_come_in_order(backbone, cores):
    results = list(run_in_workers(backbone, slow_first, range(12)))
    jobs, workers, threads = zip(*results)
    assert jobs == tuple(range(12))
    assert len(set(workers)) == cores and set(threads) == {1}
    assert torch.get_num_threads() == cores


def test_every_core_is_used_by_at_most_8_workers():
    for cores in range(1, 130):
        found = shares(cores)
        assert sum(found) == cores and len(found) == min(cores, 8)
        assert found == sorted(found, reverse=True) and found[0] - found[-1] <= 1


@pytest.fixture
def threads_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_more_cores_than_workers_are_spread_over_them(backbone, threads_before):
    torch.set_num_threads(11)
    at_once = threading.Barrier(8)

    def work(backbone, job, is_wanted):
        at_once.wait(30)
        return torch.get_num_threads()

    assert sorted(run_in_workers(backbone, work, range(8))) == [1] * 5 + [2] * 3
    assert torch.get_num_threads() == 11


def test_a_quota_of_cpu_time_bounds_the_workers(
    backbone, monkeypatch, threads_before
):
    monkeypatch.setattr(workers, "within_quota", lambda threads: min(threads, 2))
    torch.set_num_threads(12)
    assert compute_threads() == 2
    _, idents, threads = zip(*run_in_workers(backbone, slow_first, range(12)))
    assert len(set(idents)) == 2 and set(threads) == {1}
    assert torch.get_num_threads() == 12


@pytest.mark.parametrize("threads, decoders", [(1, 1), (5, 5), (40, 8)])
def test_beside_a_cpu_that_encodes_few_threads_decode(
    backbone, threads_before, threads, decoders
):
    torch.set_num_threads(threads)
    assert encode_files._decoders(backbone) == decoders


def test_every_gpu_has_its_decoders(backbone, monkeypatch):
    monkeypatch.setattr(encode_files, "cpus", lambda: 48)
    there = backbone.on(torch.device("meta"))
    for gpus, decoders in ((1, 8), (4, 32), (8, 48)):
        there.devices = (there.device,) * gpus
        assert encode_files._decoders(there) == decoders


def test_jobs_are_consumed_as_needed(backbone, cores):
    taken = []
    with closing(run_in_workers(backbone, slow_first, map_taking(taken))) as results:
        assert taken == []
        next(results)
        assert len(taken) == cores + 1


def map_taking(taken):
    for job in range(100):
        taken.append(job)
        yield job


def test_an_early_end_stops_the_workers(backbone, cores):
    started, ended = threading.Semaphore(0), []

    def work(backbone, job, is_wanted):
        if job == 0:
            return 0
        started.release()
        while is_wanted():
            time.sleep(0.005)
        ended.append(job)

    with closing(run_in_workers(backbone, work, range(100))) as results:
        assert next(results) == 0
        started.acquire(timeout=5)
    assert ended and torch.get_num_threads() == cores


def test_an_error_of_a_job_reaches_the_caller(backbone, cores):
    def work(backbone, job, is_wanted):
        if job == 3:
            raise ValueError("job 3")
        return job

    results = run_in_workers(backbone, work, range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="job 3"):
        next(results)
    assert torch.get_num_threads() == cores


@pytest.mark.slow
def test_two_callers_give_the_threads_back(backbone, cores):
    one = run_in_workers(backbone, slow_first, range(50))
    two = run_in_workers(backbone, slow_first, range(50))
    next(one), next(two)
    one.close()
    assert next(two)[0] == 1
    assert {threads for _, _, threads in two} == {1}
    assert torch.get_num_threads() == cores


def test_a_thread_that_began_beside_workers_has_one_later(backbone, cores):
    with ThreadPoolExecutor(1) as other:
        with closing(run_in_workers(backbone, slow_first, range(9))) as results:
            next(results)
            assert other.submit(torch.get_num_threads).result() == 1
        jobs = run_in_workers(backbone, slow_first, range(9))
        _, workers, threads = zip(*other.submit(list, jobs).result())
    assert len(set(workers)) == cores and set(threads) == {1}


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_features_do_not_depend_on_the_workers(tmp_path, backbone, cores, batch_size):
    files = write_images(tmp_path, SIZES)
    cover = CompleteCover(3)
    options = EncodeOptions(batch_size=batch_size)
    found = list(iter_patch_features(enumerate(files), backbone, cover, options))
    assert [image.id for image in found] == list(range(len(files)))
    for image, path in zip(found, files):
        (alone,) = iter_patch_features([(0, path)], backbone, cover)
        assert len(alone.features) == len(cover.boxes(image.width, image.height))
        assert torch.allclose(image.features, alone.features, atol=1e-6)
