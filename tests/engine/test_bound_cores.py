"""A process that is bound to one core, by ``taskset``, uses one core."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import write_images

_ROOT = Path(__file__).resolve().parents[2]
_RUN = """
import json, sys, threading, time
from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.engine.stream import stream
from detail_embed.engine.workers import compute_threads

backbone = Backbone.load("detail-demo", device=sys.argv[1])
items, seen = list(enumerate(sys.argv[2:])), set()
started, before = time.perf_counter(), time.process_time()
for chunk in stream(items, backbone, CompleteCover(3), fusers.create("mean", 256),
                    chunk_size=2):
    assert not chunk.errors
    seen |= {(t.name, t.ident) for t in threading.enumerate()}
names = [name.partition("_")[0] for name, _ in seen]
print(json.dumps({
    "cores": (time.process_time() - before) / (time.perf_counter() - started),
    "threads": compute_threads(), "encode": names.count("detail-encode"),
    "read": names.count("detail-read"),
}))
"""


@pytest.mark.skipif(not shutil.which("taskset"), reason="taskset is of Linux")
@pytest.mark.parametrize("device", ["torch", "openvino"])
@pytest.mark.slow
def test_one_core_has_one_worker_and_one_reader(tmp_path, device):
    if device == "openvino":
        pytest.importorskip("openvino")
    files = write_images(tmp_path, [(400, 300)] * 12)
    core = min(os.sched_getaffinity(0))
    bare = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    found = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, "-c", _RUN, device, *files],
        cwd=_ROOT, env=bare, capture_output=True, text=True, timeout=300,
    )
    assert found.returncode == 0, found.stderr
    said = json.loads(found.stdout.splitlines()[-1])
    assert said.pop("cores") <= 1.1
    assert said == {"threads": 1, "encode": 1, "read": 1}
