"""Nothing that FiftyOne does may land outside the home it was given."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from detail_embed.demo import fiftyone_home

USE_FIFTYONE = """
import json, sys
from detail_embed.demo.fiftyone_home import isolate
isolate(sys.argv[1])
assert "fiftyone" not in sys.modules
import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.plugins as fop
import fiftyone.zoo as foz
from fiftyone.core.uid import get_user_id
get_user_id()
fo.Dataset("kept", persistent=True)
print(json.dumps([fo.config.database_name, fop.list_plugins(enabled="all")[0].name]))
"""


def _clean_env(user_home):
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FIFTYONE_", "XDG_", "DETAIL_EMBED_"))
    }
    return env | {"HOME": str(user_home), "PYTHONPATH": str(fiftyone_home.CHECKOUT)}


def test_environment_names_only_places_inside(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/somebody")
    variables = fiftyone_home.environment(tmp_path / "a")
    places = {
        name: value for name, value in variables.items() if os.sep in value
    }
    assert places.pop("XDG_CACHE_HOME") == "/somebody/.cache"
    assert places["HOME"] != "/somebody"
    assert all(v.startswith(str(tmp_path / "a")) for v in places.values())


def test_two_homes_never_share_a_database_name(tmp_path):
    first = fiftyone_home.environment(tmp_path / "a")["FIFTYONE_DATABASE_NAME"]
    second = fiftyone_home.environment(tmp_path / "b")["FIFTYONE_DATABASE_NAME"]
    assert first != second


def test_isolate_refuses_when_it_comes_too_late(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fiftyone", object())
    before = dict(os.environ)
    with pytest.raises(RuntimeError, match="before anything imports it"):
        fiftyone_home.isolate(tmp_path / "late")
    assert dict(os.environ) == before
    assert not (tmp_path / "late").exists()


@pytest.mark.slow
def test_fiftyone_leaves_the_users_home_alone(tmp_path):
    user_home = tmp_path / "user"
    user_home.mkdir()
    result = subprocess.run(
        [sys.executable, "-c", USE_FIFTYONE, str(tmp_path / "own")],
        env=_clean_env(user_home),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    database, plugin = json.loads(result.stdout.splitlines()[-1])
    assert database.startswith("detail_embed_")
    assert plugin == "@detail/detail-embed"
    left = [p for p in user_home.rglob("*") if ".cache" not in p.parts]
    assert left == []
    assert (tmp_path / "own" / "home" / ".fiftyone" / "var" / "uid").is_file()


def test_many_may_open_a_home_at_one_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.delitem(sys.modules, "fiftyone", raising=False)
    ready = threading.Barrier(4)

    def open_it(home):
        ready.wait()
        fiftyone_home.isolate(home)

    with ThreadPoolExecutor(4) as threads:
        for k in range(50):
            list(threads.map(open_it, [tmp_path / str(k)] * 4))
            assert sorted(os.listdir(tmp_path / str(k))) == ["home", "plugins"]
            [link] = (tmp_path / str(k) / "plugins").iterdir()
            assert link.readlink() == fiftyone_home.CHECKOUT
