"""Set-up finds FiftyOne a database, and says what is wrong when it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _program(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def world(tmp_path):
    """A FiftyOne without mongod, and a pip that installs nothing."""
    (tmp_path / "packages" / "fiftyone").mkdir(parents=True)
    (tmp_path / "packages" / "fiftyone" / "__init__.py").touch()
    (tmp_path / "packages" / "pip.py").write_text("print('pip was asked')")
    (tmp_path / "bin").mkdir()
    return tmp_path


def _ensure_mongod(world, **env):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "ensure_mongod.py"],
        env={"PYTHONPATH": str(world / "packages"), "PATH": str(world / "bin"), **env},
        capture_output=True,
        text=True,
    )


def _mongod(world):
    return world / "packages" / "fiftyone" / "db" / "bin" / "mongod"


def test_a_mongod_that_runs_is_left_alone(world):
    _program(_mongod(world), "echo db version v8.0.4")
    done = _ensure_mongod(world)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_server_of_the_user_needs_no_mongod(world):
    done = _ensure_mongod(world, FIFTYONE_DATABASE_URI="mongodb://localhost")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_mongod_on_the_path_is_used(world):
    _program(world / "bin" / "mongod", "echo db version v7.0.1")
    done = _ensure_mongod(world)
    assert done.returncode == 0, done.stderr
    assert _mongod(world).resolve() == (world / "bin" / "mongod").resolve()


@pytest.mark.parametrize("body", ["echo db version v4.4.0", "exit 1", "echo hello"])
def test_what_is_too_old_or_broken_is_not_used(world, body):
    _program(world / "bin" / "mongod", body)
    done = _ensure_mongod(world)
    assert done.returncode != 0
    assert not _mongod(world).exists()
    assert "FIFTYONE_DATABASE_URI" in done.stderr


def test_without_fiftyone_it_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "tools" / "ensure_mongod.py"],
        env={"PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "fiftyone is not installed" in done.stderr


@pytest.fixture
def checkout(tmp_path):
    """What set-up needs of the checkout, without an environment."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    for name in ("requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _setup(checkout, python):
    return subprocess.run(
        [checkout / "tools" / "setup.sh"],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
    )


def test_setup_names_a_python_that_is_missing_or_too_old(checkout):
    done = _setup(checkout, "no-such-python")
    assert done.returncode == 1
    assert "no-such-python" in done.stderr
    old = checkout / "old-python"
    _program(old, '[ "$1" = --version ] && echo Python 3.8.1 || exit 1')
    done = _setup(checkout, old)
    assert done.returncode == 1
    assert "Python 3.8.1 is too old" in done.stderr


def test_setup_says_what_to_do_without_a_registry(checkout):
    python = checkout / ".venv" / "bin" / "python"
    _program(python, '[ "$3" = --version ] || exit 1')
    done = _setup(checkout, sys.executable)
    assert done.returncode == 1
    assert "PIP_INDEX_URL" in done.stderr
    assert not (checkout / ".venv" / ".setup-done").exists()


def test_setup_installs_once_for_the_same_requirements(checkout):
    log = checkout / "log"
    _program(checkout / ".venv" / "bin" / "python", f'echo "$@" >>"{log}"')
    for _ in range(2):
        assert _setup(checkout, sys.executable).returncode == 0
    assert log.read_text().count("pip install") == 1
    with open(checkout / "requirements.txt", "a") as file:
        file.write("six\n")
    assert _setup(checkout, sys.executable).returncode == 0
    assert log.read_text().count("pip install") == 2
