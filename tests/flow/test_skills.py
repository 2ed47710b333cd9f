"""The skill for agents: FiftyOne finds it, it is whole, and its examples run."""

import json
import shutil

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from fiftyone.operators.executor import ExecutionError

from detail_embed.backbone.bundled_model import NAME as DEMO
from tests.flow.documents import blocks, read, rows

pytestmark = pytest.mark.slow

PLUGIN = "@detail/detail-embed"
PAGE = "skills/detail-embed/SKILL.md"
NAME, VIDEOS = "drone-photos", "drone-videos"
NOTHING = ("there is nothing to do", "No model was adapted yet")
REPLACED = {  # the model that ships for one that would be downloaded; the rest is time
    '"ViT-B-32"': f'"{DEMO}"',
    '"minutes": 30': '"minutes": 0.05, "epochs": 1, "cover": 1, "proxies": "a, b, c"',
    '"n": 50': '"n": 26, "size": 128, "bank": "solids", "scales": "0.2, 0.3"',
    '"keep_features": true': '"keep_features": true, "cover": 2, "vectors": 2, '
    '"fuser": "mean"',
}


@pytest.fixture(scope="module")
def operators():
    found = [one for one in foo.list_operators(type="operator") if PLUGIN in one.uri]
    return [one.name for one in found]


def test_fiftyone_finds_it():
    skills = pytest.importorskip("fiftyone.plugins.skills")
    (skill,) = skills.list_skills(plugin=PLUGIN)
    assert (skill.name, skill.plugin_name) == ("detail-embed", PLUGIN)
    assert "near duplicates" in skill.description and len(skill.description) < 1024
    assert skill.content == read(PAGE)


def test_it_names_every_operator(operators):
    """Add a row to the table of a new operator, with params that can be run."""
    assert sorted(row.name.strip("`") for row in rows(PAGE)) == sorted(operators)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The params of each row, as they can be run here."""
    folder = tmp_path_factory.mktemp("skill")
    _delete()  # also of a run that was cut short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETAIL_EMBED_DATA", str(folder / "data"))
        patch.setattr(fo.config, "default_dataset_dir", str(folder))
        yield {row.name.strip("`"): _here(row.text, folder) for row in rows(PAGE)}
    _delete()


def _delete():
    for name in (NAME, VIDEOS):
        if fo.dataset_exists(name):
            fo.delete_dataset(name)


def _here(text, folder):
    for old, here in REPLACED.items():
        text = text.replace(old, here)
    return json.loads(text.replace("/data/", f"{folder}/"))


def _make_videos():
    create = foo.get_operator(f"{PLUGIN}/create_clver_ds")
    return create(VIDEOS, n=2, size=128, medium="videos", seconds=1.0).name


def test_its_examples_run(examples, tmp_path):
    for name, params in examples.items():
        if name == "index_videos" and not shutil.which("ffmpeg"):
            continue
        on = _make_videos() if name == "index_videos" else NAME
        uri, ctx = f"{PLUGIN}/{name}", {"dataset": on} if fo.dataset_exists(on) else {}
        try:
            result = foo.execute_operator(uri, ctx=ctx, params=params).result
        except ExecutionError as error:
            assert any(why in str(error) for why in NOTHING), (name, error)
        else:
            assert "problem" not in str(result), (name, result)
    dataset = fo.load_dataset(NAME)
    assert len(dataset.match_tags("to label")) == 10
    names = {}
    dataset.untag_samples("to label")
    dataset.limit(3).tag_samples("labelled")
    for block in blocks(PAGE, "python"):
        code = block.text.replace('"ViT-B-32"', f'"{DEMO}"')
        exec(compile(code, block.name, "exec"), names)
    assert not set(names["to_label"].match_tags("labelled").values("id"))
