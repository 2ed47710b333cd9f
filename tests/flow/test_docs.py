"""Every block and every row of calls of README and docs runs, in its page's order.

Each page has a process of its own, in which detail-embed is installed as README says:
as a plugin alone. What cannot be had here is listed: REPLACED is put in its place,
BEFORE is done first, NOT_RUN has a reason and, where there is one, a test.
"""

import functools
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService

from detail_embed import clver_ds
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.model.zoo_source import REPOSITORY
from detail_embed.texts.query import parse
from tests.flow.documents import PAGES, ROOT, blocks, parts, read, rows, spans

pytestmark = pytest.mark.slow

PLUGIN = ["__init__.py", "fiftyone.yml", "requirements.txt", "operators", "assets",
          "detail_embed"]
COMPUTE = "@detail/detail-embed/compute_detail_embeddings"
NAMES = ["drone-photos", "drone-videos", "photos"]
REPLACED = {  # the model that ships for one that would be downloaded; the rest is time
    'load("ViT-B-32", pretrained="laion2b_s34b_b79k")': f'load("{DEMO}")',
    '"ViT-B-32",\n    pretrained="laion2b_s34b_b79k",': f'"{DEMO}",',
    'backbone="ViT-B-32"': f'backbone="{DEMO}"',
    "dim=512": "dim=256",
    "n=50": 'n=26, size=256, bank="solids", scales=(0.15, 0.25)',
    "minutes=30": "minutes=0.1, epochs=1",
    '"multiple-instance", shots=8': "shots=1",
    "/data/": "FOLDER/",  # where a reader's files are
    "/shared/": "FOLDER/shared/",
    "RAY_ADDRESS=auto ": "",  # this machine alone
}
BEFORE = {  # what the panel does, or another process
    "**By example**: selected images, boxes, a picture, mixed with prompts": (
        "import shutil; shutil.copy(dataset.first().filepath, 'helmet.jpg')"
    ),
    "**Recent searches** of the panel: again, pin, delete": (
        "from detail_embed.fiftyone_bridge.search.history import Entry\n"
        "History(dataset).add(Entry('a red helmet', 'detail'))"
    ),
    "runs in progress": (
        "from detail_embed.fiftyone_bridge.runs.run import Progress\n"
        "one = RunBoard(dataset).track('a run', [Progress('a step', 0.0)])\n"
        "next(one)"
    ),
}
_SERVICE = "a service does not end: tests/fiftyone_bridge/compute/test_shards.py"
_PRINTED = "what a benchmark printed"
_MINUTES = "takes minutes or hours: tests/flow/test_doc_words.py for its options"
_MAKE = "sets up and runs this very suite: tests/flow/test_doc_words.py"
NOT_RUN = {
    ("CONTRIBUTING.md", "__init__.py          binds one `detail_e"): (
        "a plan of the house: tests/test_house.py"
    ),
    ("CONTRIBUTING.md", 'make test ARGS="tests/cover"            '): _MAKE,
    ("README.md", "make demo    # makes 200 scenes, indexes"): (
        f"{_MAKE}, tests/demo/test_demo_run.py"
    ),
    ("README.md", "files ─images─▶ pixels ─cover─▶ (p,3,r,r"): "a plan of the flow",
    ("docs/performance.md", "python benchmarks/engine.py --backbones "): _MINUTES,
    ("docs/performance.md", "python benchmarks/encoder.py --rounds 2"): _MINUTES,
    ("docs/performance.md", "python benchmarks/encoder.py --probe --b"): _MINUTES,
    ("docs/performance.md", "python benchmarks/less_work.py --n 100 -"): _MINUTES,
    ("docs/performance.md", "OMP_NUM_THREADS=1 python benchmarks/cpu_"): _MINUTES,
    ("docs/performance.md", "python benchmarks/app_scale.py --images "): _MINUTES,
    ("docs/videos.md", "frames = videos.to_frames()             "): (
        "labels of somebody: tests/fiftyone_bridge/compute/test_frame_boxes.py"
    ),
    ("docs/performance.md", "x86_64, torch 2.15.0+cu132"): _PRINTED,
    ("docs/performance.md", "python benchmarks/write.py"): _MINUTES,
    ("docs/performance.md", "python benchmarks/diverse_subset.py --si"): _MINUTES,
    ("docs/performance.md", "python benchmarks/kill.py --kills 25 --m"): _MINUTES,
    ("docs/performance.md", "OMP_NUM_THREADS=1 python benchmarks/vect"): _MINUTES,
    ("docs/scaling.md", "16 images of 2240 px, cover 10, detail-d"): _PRINTED,
    ("docs/scaling.md", "export AWS_ACCESS_KEY_ID=… AWS_SECRET_AC"): (
        "a store of somebody: tests/distributed for one here"
    ),
    ("docs/scaling.md", "python benchmarks/weak_scaling.py --size"): _MINUTES,
    ("docs/scaling.md", "CUDA_VISIBLE_DEVICES=0 fiftyone delegate"): _SERVICE,
    ("docs/scaling.md", 'pip install "detail-embed[ray]"  # from '): (
        "a download: tests/flow/test_doc_words.py knows the extra"
    ),
}
RUN = {  # beside what is Python
    ("README.md", "fiftyone plugins download https://github"),
    ("docs/scaling.md", "RAY_ADDRESS=auto python -m detail_embed."),
    ("docs/panel.md", 'a car, 0.5 * snow, -a bicycle, "salt, pe'),
}


def test_every_block_runs_or_has_a_reason():
    every = {(p.page, p.name) for page in PAGES for p in parts(page)
             if p.language not in ("row", "python")}
    assert every == NOT_RUN.keys() | RUN and not NOT_RUN.keys() & RUN
    text = "".join(part.text for page in PAGES for part in parts(page))
    assert [old for old in REPLACED if old not in text] == []
    assert BEFORE.keys() <= {part.name for part in rows("docs/panel.md")}
    for reason in NOT_RUN.values():
        for path in re.findall(r"tests/[\w/]+\.py", reason):
            assert (ROOT / path).is_file()


def with_what_is_here(text):
    for old, here in REPLACED.items():
        text = text.replace(old, here)
    assert "ViT-B-32" not in text, "this model would be downloaded"
    return text


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A folder of plugins where README's commands have put ours."""
    home = tmp_path_factory.mktemp("home")
    for name in PLUGIN:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (home / "detail-embed").mkdir(exist_ok=True)
        copy(ROOT / name, home / "detail-embed" / name)
    shutil.make_archive(home / "detail-embed", "zip", home, "detail-embed")
    shutil.rmtree(home / "detail-embed")
    handler = functools.partial(_Silent, directory=home)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        local = f"http://127.0.0.1:{server.server_port}/detail-embed.zip"
        _install(blocks("README.md", "bash")[1].text, local, home / "plugins")
        server.shutdown()
    return home / "plugins"


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Says nothing."""


def _install(text, local, folder):
    """Downloads from here, not from GitHub; packages are looked at, not installed."""
    assert REPOSITORY in text and "--install" in text
    here = text.replace(REPOSITORY, local).replace("--install", "--ensure")
    for line in here.splitlines():
        program = [Path(sys.executable).with_name("fiftyone"), *shlex.split(line)[1:]]
        env = {"FIFTYONE_PLUGINS_DIR": str(folder)}
        done = subprocess.run(program, env=os.environ | env, capture_output=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A few more files than a block asks for."""
    folder = tmp_path_factory.mktemp("photos")
    clver_ds.generate(folder, 26, bank="solids", size=256, scales=(0.15, 0.25))
    return folder / "images"


@pytest.fixture
def session(fresh_python, plugins, photos, tmp_path):
    """Runs pieces of code in a process that has the plugin alone, or the library."""
    _delete()
    (tmp_path / "shared").mkdir()
    for folder in (tmp_path, tmp_path / "shared"):
        shutil.copytree(photos, folder / "photos")

    def run(*pieces, installed=False):
        file = tmp_path / "pieces.json"
        file.write_text(json.dumps(pieces).replace("FOLDER", str(tmp_path)))
        done = fresh_python(
            _RUN, file, plugins, folder=tmp_path,
            FIFTYONE_PLUGINS_DIR=str(plugins),
            FIFTYONE_DEFAULT_DATASET_DIR=str(tmp_path / "datasets"),
            DETAIL_EMBED_DATA=str(tmp_path / "data"),
            **({"PYTHONPATH": str(ROOT)} if installed else {}),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    _delete()


_RUN = """
import json, sys
names = {}
for name, code in json.load(open(sys.argv[1])):
    exec(compile(code, name, "exec"), names)
"""


def _delete():
    for name in NAMES:
        if fo.dataset_exists(name):  # also of a run that was cut short
            fo.delete_dataset(name)


def _pieces(found):
    for part in found:
        if part.name in BEFORE:
            yield f"before {part.name}", BEFORE[part.name]
        yield f"{part.page}: {part.name}", with_what_is_here(part.text)


README = """
import sys
assert sys.modules["detail_embed"].__file__.startswith(sys.argv[2])
assert result.rows[0].map and found.ids and found.boxes and close_ups[0]
assert len(set(ids[0])) == 25 and {Path(id) for id in ids[0]} <= {
    path.absolute() for path in paths}
runs = set(dataset.list_brain_runs())
assert {f"few{beside}" for beside in %r} | {"objects_boxes"} <= runs, runs
assert dataset.has_field("few_embedding") and not dataset.has_field(
    "few_single_embedding")
"""


def test_readme(session):
    beside = re.findall(r"^\| `detail(\w*)` \|", read("README.md"), re.MULTILINE)
    assert len(beside) == 5
    beside.remove("_boxes")  # where a label field is named
    checks = ["checks", README % beside]
    session(*_pieces(blocks("README.md", "python")), checks)


def test_the_panel_page(session):
    """Its block, then the calls in the rows of its tables."""
    code = [part for part in parts("docs/panel.md") if _is_call(part)]
    assert len(code) == 33
    session(*_pieces([_makes_the_dataset(), *code]))


def _makes_the_dataset():
    return blocks("README.md", "python")[0]


def _is_call(part):
    return part.language == "python" or part.language == "row" and "(" in part.text


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="frames are made by ffmpeg")
def test_the_page_about_videos(session):
    checks = "assert len(found.ids) == 3 and clips.media_type == 'video' and frames"
    session(*_pieces(blocks("docs/videos.md", "python")), ["checks", checks])


def test_the_page_about_many_images(session, tmp_path, fresh_python):
    queue, space, files, load = blocks("docs/scaling.md", "python")
    names = ["names", "import fiftyone as fo, fiftyone.operators as foo"]
    try:
        session(*_pieces([_makes_the_dataset(), queue]))
        assert _forget_queued() == 1
    finally:
        _forget_queued()
    session(*_pieces([space, files]), installed=True)  # as the page says
    _make_parts(tmp_path, fresh_python)
    session(names, *_pieces([load]))
    assert fo.load_dataset("photos").exists("detail_embedding").count() == 26


def _forget_queued():
    service, queued = DelegatedOperationService(), 0
    for one in service.list_operations(operator=COMPUTE, dataset_name="drone-photos"):
        service.delete_operation(one.id)
        queued += 1
    return queued


def _make_parts(folder, fresh_python):
    """The command of the page, with one worker."""
    shell = blocks("docs/scaling.md", "shell")
    text = next(block.text for block in shell if "RAY_ADDRESS" in block.text)
    here = with_what_is_here(text).replace("FOLDER", str(folder)).replace("\\\n", "")
    python, _, module, *arguments = shlex.split(here)
    assert (python, module) == ("python", "detail_embed.distributed")
    code = f"import runpy; runpy.run_module({module!r}, None, '__main__')"
    more = ["--concurrency", 1]
    done = fresh_python(code, *arguments, *more, folder=folder, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr


def test_the_prompts_of_the_panel_page():
    (block,) = blocks("docs/panel.md", "")
    prompts = parse(block.text.strip()).prompts
    assert [p.weight for p in prompts] == [1, 0.5, -1, 1]
    assert prompts[3].text == "salt, pepper and -20 degrees"
    for refused, meant in (("a car -snow", "a car, -snow"), ("1,5 * a car", "1.5 * …")):
        assert refused in spans("docs/panel.md") and meant in read("docs/panel.md")
        with pytest.raises(ValueError, match=f"did you mean {re.escape(meant)}"):
            parse(refused)
