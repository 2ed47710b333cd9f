"""The benchmark of the encoder: CUDA graphs are left to the thread that made them."""

import sys
import threading
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import encoder as benchmark  # noqa: E402
from _engine import encoder as ways  # noqa: E402

from tests.tiny import register_tiny  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture
def small(monkeypatch):
    """Few patches, and a stand-in for torch.compile that keeps to its thread."""
    monkeypatch.setattr(ways, "_BATCHES", {"cpu": (2, 4)})
    threads = []

    def compile(function, mode, dynamic):
        own = []

        def compiled(images):
            own.append(threading.get_ident())
            if mode == "reduce-overhead":  # as torch's graphs do
                assert own[0] == own[-1], "a CUDA graph in another thread"
            threads.append((mode, own[-1]))
            return function(images)

        return compiled

    monkeypatch.setattr(torch, "compile", compile)
    return threads


def test_graphs_are_run_by_one_caller_others_by_workers_too(small, tmp_path, capsys):
    name = register_tiny(tmp_path)
    found = [
        benchmark.Way("cpu", "fp32"), benchmark.Way("cpu", "fp32", "default"),
        benchmark.Way("cpu", "fp32", "reduce-overhead"),
    ]
    benchmark.measure(name, found, 1, 0.01)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[3] for line in lines] == ["–", "default",
                                                       "reduce-overhead"]
    me = threading.get_ident()
    assert {ident for mode, ident in small if mode == "reduce-overhead"} == {me}
    assert any(ident != me for mode, ident in small if mode == "default")


def test_the_probe_of_loading_is_printed(capsys):
    benchmark.probe(["detail-demo"], 1)
    head, _, row = capsys.readouterr().out.splitlines()
    assert head.startswith("| backbone | s | torch fp32")
    name, seconds, usual, *others = row.strip("| ").split(" | ")
    assert (name, usual) == ("detail-demo", "1.00") and float(seconds) > 0
    assert len(others) == head.count("|") - 4 and all(float(one) > 0 for one in others)
