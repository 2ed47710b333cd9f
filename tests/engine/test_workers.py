"""Workers that share the devices: order, errors, threads, an early end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import torch

from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.engine.workers import run_in_workers
from tests.tiny import tiny_backbone, write_images

SIZES = [(60, 60), (120, 40), (33, 77), (64, 64), (50, 90), (200, 10), (48, 48)]


@pytest.fixture
def backbone(tmp_path):
    return tiny_backbone(tmp_path)


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
