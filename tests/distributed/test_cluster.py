"""Who can reach the Ray cluster that a run starts on its machine."""

import json
import socket
import sys
from pathlib import Path

import psutil
import pytest
from PIL import Image

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.demo.fiftyone_home import CHECKOUT
from detail_embed.space import DetailEmbedder

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason='Ray is not installed: pip install ".[ray]"')

ALONE = {"RAY_ADDRESS": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
RUN = """
import json, os, socket, stat, sys
import psutil
from detail_embed.distributed.run import embed

done = embed(*json.loads(sys.argv[1]), concurrency=1, num_gpus=0)
me = psutil.Process()
family = [me, *me.children(recursive=True)]
heard = {
    (process.name(), link.laddr.ip)
    for process in family
    for link in process.net_connections("inet")
    if link.status == psutil.CONN_LISTEN
    or link.type == socket.SOCK_DGRAM and not link.raddr
}
paths = {link.laddr for p in family for link in p.net_connections("unix")}
folders = {os.path.join("/tmp", path.split(os.sep)[2]) for path in paths if
           path.startswith("/tmp/")}
modes = {name: oct(stat.S_IMODE(os.stat(name).st_mode)) for name in folders}
print(json.dumps([done.images, sorted(heard), modes]))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two images and a space: arguments of a run."""
    folder = tmp_path_factory.mktemp("images")
    paths = [str(folder / f"{i}.png") for i in range(2)]
    for i, path in enumerate(paths):
        Image.new("RGB", (64, 64), (90 * i, 0, 0)).save(path)
    backbone = Backbone.load(DEMO, device="cpu")
    fuser = fusers.create("gmp", dim=backbone.dim)
    DetailEmbedder(backbone, CompleteCover(1), fuser).fit(paths).save(folder / "space")
    return paths, str(folder / "space")


def test_a_cluster_of_our_own_is_heard_here_alone(run, bare_python, tmp_path):
    files = json.dumps([*run, str(tmp_path / "parts")])
    done = bare_python(RUN, files, CUDA_VISIBLE_DEVICES="", **ALONE)
    assert done.returncode == 0, done.stderr
    images, heard, modes = json.loads(done.stdout.splitlines()[-1])
    assert images == 2
    assert {"raylet", "gcs_server"} <= {name for name, _ in heard}
    assert {a.removeprefix("::ffff:") for _, a in heard} <= {"127.0.0.1", "::1"}
    if sys.platform == "linux":
        assert {*modes.values()} == {"0o700"}
    assert not any(Path(name).exists() for name in modes)


def test_ray_that_would_be_heard_elsewhere_is_not_started(run, bare_python, tmp_path):
    kinds = psutil.net_if_addrs().values()
    found = [a.address for kind in kinds for a in kind if a.family == socket.AF_INET]
    if all(address.startswith("127.") for address in found):
        pytest.skip("this machine has no other address")
    files = json.dumps([*run, str(tmp_path / "parts")])
    done = bare_python("import ray\n" + RUN, files, **ALONE)
    assert done.returncode
    assert "would listen on" in done.stderr and "ray.init()" in done.stderr
