"""The detail-embed plugin for FiftyOne.

Operators, panel, zoo models and the user's own code share one library, the top-level
package ``detail_embed``: one cache of backbones, one lock, one ``isinstance``.
"""

import importlib
import importlib.util
import re
import sys
from pathlib import Path

_LIBRARY = "detail_embed"
_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)


def register(plugin):
    """Registers the plugin's operators and its panel."""
    bind_library()
    from .operators import OPERATORS, PANELS  # here, so that pytest can import this

    for part in (*OPERATORS, *PANELS):
        plugin.register(part)


def bind_library():
    """Makes ``import detail_embed`` give the plugin's library, in all of the process.

    What is imported already, or installed, is taken where it has the plugin's version;
    else the library is loaded from the plugin's folder.

    Raises:
        ImportError: if another version is imported or installed
    """
    own = Path(__file__).resolve().parent / _LIBRARY / "__init__.py"
    spec = importlib.util.find_spec(_LIBRARY)
    if spec is None:
        _load(own)
        return
    there = Path(spec.origin).resolve()
    loaded = sys.modules.get(_LIBRARY)
    version = loaded.__version__ if loaded else _version(there)
    if version != _version(own):
        raise ImportError(_refusal(version, there, _version(own), own))
    importlib.import_module(_LIBRARY)


def _load(file):
    spec = importlib.util.spec_from_file_location(_LIBRARY, file)
    library = importlib.util.module_from_spec(spec)
    sys.modules[_LIBRARY] = library
    spec.loader.exec_module(library)


def _version(file):
    return _VERSION.search(file.read_text("utf-8"))[1]


def _refusal(version, there, wanted, own):
    if there == own:
        return (
            f"the plugin detail-embed was changed to version {wanted} while version "
            f"{version} runs: restart FiftyOne"
        )
    return (
        f"the plugin detail-embed is version {wanted}, but the package detail_embed of "
        f"this Python is version {version} ({there.parent}): `pip install --upgrade "
        f"{own.parents[1]}`, or `pip uninstall detail-embed`, then restart FiftyOne"
    )
