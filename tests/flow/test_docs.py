"""The Python and the commands of README and docs run as they stand.

What is put in their place: the model that ships, for one that would be downloaded, and
a small dataset, for the reader's own.
"""

import re
from pathlib import Path

import fiftyone as fo
import pytest

from detail_embed import clver_ds
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "docs/panel.md", "docs/scaling.md"]
DATASET = "drone-photos"
MODEL = '"ViT-B-32", pretrained="laion2b_s34b_b79k"'
REPLACED = {
    MODEL: f'"{DEMO}"',
    '"ViT-B-32",\n    pretrained="laion2b_s34b_b79k",': f'"{DEMO}",',
    'backbone="ViT-B-32"': f'backbone="{DEMO}", cover=2',
    "CompleteCover(10)": "CompleteCover(2)",
    "dim=512": "dim=256",
    "minutes=30": "minutes=0.2, epochs=1",
    "/shared/": "shared/",
}


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def with_what_is_here(block: str) -> str:
    for text, here in REPLACED.items():
        block = block.replace(text, here)
    assert "ViT-B-32" not in block, "this model would be downloaded"
    return block


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A few more files than a block asks for."""
    folder = tmp_path_factory.mktemp("photos")
    clver_ds.generate(folder, 26, bank="solids", size=256, scales=(0.15, 0.25))
    return folder


@pytest.fixture
def drone_photos(photos):
    if fo.dataset_exists(DATASET):  # of a run that was cut short
        fo.delete_dataset(DATASET)
    dataset = load_clver_ds(photos, DATASET)
    yield dataset
    dataset.delete()


@pytest.fixture
def names(photos, drone_photos, tmp_path, monkeypatch):
    """What a reader has before the first block: files, and a folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    paths = sorted((photos / "images").iterdir())
    return {"paths": paths, "some_paths": paths}


def test_every_block_of_the_readme_runs_in_its_order(names):
    for block in blocks("README.md", "python"):
        exec(with_what_is_here(block), names)
    assert names["result"].rows and names["found"].ids
    found = set(names["ids"][0])
    assert len(found) == 25 and found <= set(map(str, names["paths"]))


def test_every_block_about_the_panel_runs(names):
    for block in blocks("docs/panel.md", "python"):
        exec(with_what_is_here(block), names)
    assert names["operator"]("compute_detail_embeddings").config.label


def test_what_scaling_says_runs_from_the_space_to_the_import(
    names, tmp_path, fresh_python
):
    dataset, (queue, make, load) = fo.load_dataset(DATASET), blocks(
        "docs/scaling.md", "python"
    )
    import fiftyone.operators as foo

    names |= {"foo": foo, "dataset": dataset}
    exec(with_what_is_here(make), names)
    parts = tmp_path / "shared" / "parts"
    _make_parts(names["paths"], tmp_path / "shared" / "space", parts, fresh_python)
    exec(with_what_is_here(load), names)
    assert dataset.exists("detail_embedding").count() == len(names["paths"])
    dataset.delete_brain_run("detail")
    exec(with_what_is_here(queue).replace('key="detail"', 'key="other"'), names)


def _make_parts(paths, space, parts, fresh_python):
    """The command between the two blocks, on this machine alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"filepath": [str(p) for p in paths]}), "files.parquet")
    command = [block for block in blocks("docs/scaling.md", "shell") if "RAY" in block]
    assert "python -m detail_embed.distributed files.parquet" in command[0]
    module = "detail_embed.distributed"
    code = f"import runpy; runpy.run_module({module!r}, None, '__main__')"
    arguments = [Path("files.parquet").absolute(), space, parts, "--concurrency", 1]
    done = fresh_python(code, *arguments, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr


STARTS = """
import contextlib, io, runpy, sys
sys.path.insert(0, sys.argv[1])
for script in sys.argv[2:]:
    sys.argv, out = [script, "--help"], io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):
        runpy.run_path(script, run_name="__main__")
    assert out.getvalue().startswith("usage"), script
    isolated = "\\nisolate(" in open(script).read()
    assert isolated or "fiftyone" not in sys.modules, f"{script}: too early"
"""


def test_every_benchmark_that_is_named_starts(fresh_python):
    pages = [*PAGES, "docs/performance.md", "docs/results.md"]
    texts = " ".join((ROOT / page).read_text("utf-8") for page in pages)
    scripts = sorted(set(re.findall(r"benchmarks/\w+\.py", texts)))
    scripts.sort(key=lambda name: "\nisolate(" in (ROOT / name).read_text("utf-8"))
    done = fresh_python(STARTS, ROOT / "benchmarks", *scripts, folder=ROOT)
    assert len(scripts) > 8 and done.returncode == 0, done.stderr
