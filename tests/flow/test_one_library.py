"""The plugin, the zoo model of an index and the user's import share one library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detail_embed import DetailEmbedder, __version__, fusers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.fiftyone_bridge.model import zoo

ROOT = Path(__file__).resolve().parents[2]
MANAGE = "@detail/detail-embed/manage_fusers"
STEPS = {
    "plugin": f"""
import fiftyone.operators as foo
foo.get_operator({MANAGE!r})()
""",
    "zoo model": """
import sys
import fiftyone.zoo as foz
model = foz.load_zoo_model(sys.argv[1], cache=False)
backbone = model.space.backbone
""",
    "library": """
import sys
if len(sys.argv) > 2:
    sys.path.append(sys.argv[2])
import detail_embed.backbone
from detail_embed.fiftyone_bridge.model import DetailModel
""",
}
ORDERS = [
    ("plugin", "zoo model", "library"),
    ("zoo model", "library", "plugin"),
    ("library", "plugin", "zoo model"),
]
SAME = """
import json, sys
from pathlib import Path
from detail_embed.backbone import Backbone
from detail_embed.fiftyone_bridge.model import DetailModel
assert type(model) is DetailModel and type(backbone) is Backbone
assert model.space.backbone is backbone
files = [getattr(module, "__file__", None) for module in [*sys.modules.values()]]
found = [str(Path(f).resolve()) for f in files if f and f.endswith("fusers/library.py")]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def space():
    """The name of a published space."""
    backbone = Backbone.load(DEMO, device="cpu")
    fuser = fusers.create("mean", dim=backbone.dim)
    return zoo.publish(DetailEmbedder(backbone, CompleteCover(1), fuser))


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.slow
def test_whatever_comes_first_there_is_one_library(fresh_python, space, order):
    parts = [STEPS[step] for step in order]
    where = [str(ROOT)] if order[0] == "library" else []
    done = fresh_python("".join([*parts, SAME]), space, *where)
    assert done.returncode == 0, done.stderr
    fuser_library = ROOT / "detail_embed" / "fusers" / "library.py"
    assert json.loads(done.stdout.splitlines()[-1]) == [str(fuser_library)]


def installed(folder: Path, version: str) -> Path:
    """A copy of the library, as pip would put it on the path."""
    package = folder / "detail_embed"
    package.mkdir()
    text = (ROOT / "detail_embed" / "__init__.py").read_text("utf-8")
    (package / "__init__.py").write_text(text.replace(__version__, version))
    for room in (ROOT / "detail_embed").iterdir():
        if room.is_dir():
            (package / room.name).symlink_to(room)
    return folder


LOADS = f"""
import fiftyone.operators as foo
found = foo.get_operator({MANAGE!r})
import detail_embed
print(detail_embed.__file__)
"""


def test_an_installed_library_of_the_same_version_is_taken(bare_python, tmp_path):
    folder = installed(tmp_path, __version__)
    done = bare_python(LOADS, PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(folder.resolve()))


BINDS = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("plugin", sys.argv[1])
plugin = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plugin)
if sys.argv[2] == "imported":
    import detail_embed
plugin.bind_library()
"""


@pytest.mark.parametrize("how", ["imported", "installed"])
def test_another_version_is_refused_by_both_versions(bare_python, tmp_path, how):
    folder = installed(tmp_path, "0.0.1")
    done = bare_python(
        BINDS, str(ROOT / "__init__.py"), how, PYTHONPATH=str(folder)
    )
    assert done.returncode != 0
    error = done.stderr.splitlines()[-1]
    assert f"is version {__version__}" in error and "is version 0.0.1" in error
    assert str(folder / "detail_embed") in error and "pip install --upgrade" in error


def test_a_zoo_model_refuses_another_version_too(fresh_python, tmp_path, space):
    folder = installed(tmp_path, "0.0.1")
    code = STEPS["zoo model"]
    done = fresh_python(code, space, PYTHONPATH=str(folder))
    assert done.returncode != 0 and "is version 0.0.1" in done.stderr


def test_a_plugin_that_changes_under_a_running_process_asks_for_a_restart(tmp_path):
    plugin = tmp_path / "plugin"
    installed_at = plugin / "detail_embed"
    installed_at.mkdir(parents=True)
    (plugin / "__init__.py").write_text((ROOT / "__init__.py").read_text("utf-8"))
    (installed_at / "__init__.py").write_text('__version__ = "1.0"\n')
    code = BINDS + (
        "file = sys.modules['detail_embed'].__file__\n"
        "open(file, 'w').write('__version__ = \"2.0\"\\n')\n"
        "plugin.bind_library()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(plugin / "__init__.py"), ""],
        capture_output=True, text=True, cwd=tmp_path,
    )
    error = done.stderr.splitlines()[-1]
    assert "changed to version 2.0 while version 1.0 runs: restart FiftyOne" in error
