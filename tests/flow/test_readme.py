"""The README's Python is run as it stands, with the model that ships."""

import ast
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
MODEL = '"ViT-B-32", pretrained="laion2b_s34b_b79k"'


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_python(block):
    ast.parse(block)


def test_the_library_alone(scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block, search = [b for b in BLOCKS if "embed_files" in b]
    assert MODEL in block and "CompleteCover(10)" in block
    paths = sorted((scenes / "images").iterdir())[:6]
    names = {"paths": paths}
    code = block.replace(MODEL, '"detail-demo"').replace("Cover(10)", "Cover(3)")
    exec(code, names)
    assert names["result"].vectors.shape == (6, 256)
    assert names["scores"].shape == (6, 1)
    exec(search.replace("k=25", "k=6"), names)
    assert sorted(names["ids"][0]) == sorted(map(str, paths))
