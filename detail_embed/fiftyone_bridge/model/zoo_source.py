"""Text and image queries for the indexes that detail-embed computes.

detail-embed wrote this file into the model zoo, so that FiftyOne can load the
model of an index by its name in any process. It only forwards: the work is
done by the installed package or, where there is none, by the plugin.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

PLUGIN = "@detail/detail-embed"
PACKAGE = "detail_embed"
REPOSITORY = "https://github.com/<owner>/detail-embed"


def download_model(model_name, model_path):
    """Refuses: a space is computed or copied, there is nowhere to get it from."""
    raise FileNotFoundError(
        f"The embedding space {model_name!r} is not on this machine: "
        f"{model_path} is missing. Copy the folder {Path(model_path).parent} from "
        "the machine that computed the index, or compute the index again here"
    )


def load_model(model_name, model_path, **kwargs):
    """Loads the model that encodes queries for one embedding space."""
    _ensure_package(model_name)
    model = importlib.import_module(f"{PACKAGE}.fiftyone_bridge.model")
    return model.DetailModel(model_name, Path(model_path).parent, **kwargs)


def _ensure_package(model_name):
    """Makes the package importable: the plugin says which, else the installed one."""
    if PACKAGE in sys.modules:
        return
    import fiftyone.plugins as fop

    try:
        plugin = Path(fop.find_plugin(PLUGIN))
    except ValueError as error:
        if importlib.util.find_spec(PACKAGE):
            return
        raise ImportError(
            f"Queries to {model_name!r} need the plugin {PLUGIN}, which is not "
            f"installed. Install it with `fiftyone plugins download {REPOSITORY}`, or "
            "the package with `pip install detail-embed`; the dataset itself is not "
            "affected"
        ) from error
    spec = importlib.util.spec_from_file_location(
        f"{PACKAGE}_plugin", plugin / "__init__.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.bind_library()
