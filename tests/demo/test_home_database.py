"""A home's MongoDB is its own, whoever else runs FiftyOne on the machine."""

import json
import os
import shutil
import subprocess
import sys

import psutil
import pytest

from detail_embed.demo.fiftyone_home import CHECKOUT

pytestmark = pytest.mark.slow

START = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what FiftyOne prints is no answer
def answer(value):
    print(json.dumps(value), file=answers, flush=True)
from detail_embed.demo.fiftyone_home import isolate
isolate(sys.argv[1])
if sys.argv[2] == "own":
    from detail_embed.demo.home_database import start_database
    start_database()
import fiftyone as fo
from fiftyone.core.odm.database import get_db_conn
database = get_db_conn()
server = database.client.admin
answer([server.command("getCmdLineOpts")["parsed"]["storage"]["dbPath"],
        server.command("serverStatus")["pid"]])
for name in sys.stdin:
    fo.Dataset(name.strip()).add_sample(fo.Sample(filepath="/a.jpg"))
    answer(fo.list_datasets())
if sys.argv[2] != "own":
    database.client.drop_database(database.name)
"""


class Process:
    """A process that uses FiftyOne in a home."""

    def __init__(self, home, kind):
        names = ("FIFTYONE_", "DETAIL_EMBED_")
        env = {k: v for k, v in os.environ.items() if not k.startswith(names)}
        self._run = subprocess.Popen(
            [sys.executable, "-c", START, home, kind], text=True,
            env=env | {"PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def answer(self):
        return json.loads(self._run.stdout.readline())

    def make(self, name):
        print(name, file=self._run.stdin, flush=True)
        return self.answer()

    def end(self):
        with self._run.stdout:
            self._run.stdin.close()
            assert self._run.wait(timeout=60) == 0


def test_a_homes_database_is_its_own_and_outlives_neighbours(tmp_path):
    neighbour = Process(tmp_path / "other", "FiftyOne's")
    path, server = neighbour.answer()
    started = path == str(tmp_path / "other" / "mongo")  # or joined another test's
    servers = [psutil.Process(server)] if started else []
    home = tmp_path / "home"
    first, second = Process(home, "own"), Process(home, "own")  # at one moment
    path, server = first.answer()
    assert path == str(home / "mongo") and second.answer() == [path, server]

    neighbour.end()
    assert psutil.wait_procs(servers, timeout=60)[1] == []  # it writes until it ends
    shutil.rmtree(tmp_path / "other")
    assert first.make("of the first") == ["of the first"]
    first.end()  # one of them has started the server
    assert second.make("of the second") == ["of the first", "of the second"]
    second.end()

    later = Process(home, "own")  # while the server of the others may still end
    assert later.answer()[0] == path
    later.end()


def test_a_parents_database_is_not_taken_for_that_of_a_home(tmp_path, monkeypatch):
    from detail_embed.demo import fiftyone_home

    monkeypatch.setenv("FIFTYONE_PRIVATE_DATABASE_PORT", "1")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.delitem(sys.modules, "fiftyone", raising=False)
    fiftyone_home.isolate(tmp_path / "home")
    assert "FIFTYONE_PRIVATE_DATABASE_PORT" not in os.environ
