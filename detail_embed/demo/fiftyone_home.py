"""A FiftyOne home of one's own, for the demo and the tests.

FiftyOne reads its settings once, when it is imported, so nothing here may
import it before they are set.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from detail_embed.storage.whole_files import unfinished

CHECKOUT = Path(__file__).resolve().parents[2]
PLUGIN_LINK = "detail-embed"

# Of a MongoDB that a parent process uses, which ends with the parent.
_PARENTS_PORT = "FIFTYONE_PRIVATE_DATABASE_PORT"
_CONFIGS = ("", "APP_", "ANNOTATION_", "EVALUATION_", "BRAIN_")


def environment(directory: str | os.PathLike) -> dict[str, str]:
    """Names the environment variables that keep FiftyOne in a directory.

    ``HOME`` is among them: FiftyOne writes two small files below
    ``~/.fiftyone`` whose place no setting of its own can change. The cache of
    downloaded model weights stays where the user has it.

    A MongoDB that the user runs (``FIFTYONE_DATABASE_URI``) is used, with a
    database name that belongs to the directory.

    Args:
        directory: where everything shall go; it need not exist

    Returns:
        a dict of environment variables
    """
    root = Path(directory).resolve()
    user_cache = Path.home() / ".cache"
    digest = hashlib.sha1(str(root).encode()).hexdigest()[:8]
    configs = {
        f"FIFTYONE_{kind}CONFIG_PATH": str(
            root / "config" / f"{kind.lower()}config.json"
        )
        for kind in _CONFIGS
    }
    return configs | {
        "HOME": str(root / "home"),
        "USERPROFILE": str(root / "home"),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(user_cache)),
        "FIFTYONE_DATABASE_DIR": str(root / "mongo"),
        "FIFTYONE_DATABASE_NAME": f"detail_embed_{digest}",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_PLUGINS_DIR": str(root / "plugins"),
        "FIFTYONE_MODEL_ZOO_DIR": str(root / "models"),
        "FIFTYONE_DATASET_ZOO_DIR": str(root / "zoo"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(root / "datasets"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "DETAIL_EMBED_CACHE": str(root / "detail-embed" / "cache"),
        "DETAIL_EMBED_DATA": str(root / "detail-embed" / "data"),
        "DETAIL_EMBED_HOME": str(root / "detail-embed"),
    }


def isolate(directory: str | os.PathLike) -> dict[str, str]:
    """Keeps this process and its children away from the user's FiftyOne.

    Call it before ``fiftyone`` is imported. The checkout that holds this file
    becomes the one plugin of the new home. FiftyOne would still join a MongoDB that
    serves another home: see :func:`open_home`.

    Args:
        directory: the new home, created where missing

    Returns:
        a dict of the environment variables that were set

    Raises:
        RuntimeError: if FiftyOne was imported with another home
    """
    variables = environment(directory)
    if "fiftyone" in sys.modules and any(
        os.environ.get(name) != value for name, value in variables.items()
    ):
        raise RuntimeError(
            f"FiftyOne is already imported with another home than "
            f"{directory}; call isolate() before anything imports it"
        )
    Path(variables["HOME"]).mkdir(parents=True, exist_ok=True)
    plugins = Path(variables["FIFTYONE_PLUGINS_DIR"])
    plugins.mkdir(parents=True, exist_ok=True)
    _link_plugin(plugins / PLUGIN_LINK)
    os.environ.update(variables)
    os.environ.pop(_PARENTS_PORT, None)
    return variables


def _link_plugin(link: Path) -> None:
    if link.exists():
        return
    # Others may do the same now; and FiftyOne reads all that is in the folder.
    fresh = unfinished(link.parents[1] / link.name)
    fresh.symlink_to(CHECKOUT, target_is_directory=True)
    fresh.replace(link)


def open_home(directory: str | os.PathLike) -> None:
    """Isolates this process, and starts the home's database.

    Args:
        directory: see :func:`isolate`

    Raises:
        RuntimeError: as :func:`isolate`; or if MongoDB does not start
    """
    isolate(directory)
    from detail_embed.demo.home_database import start_database

    start_database()
