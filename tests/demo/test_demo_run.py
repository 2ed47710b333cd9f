"""The demo: scoring, the choice of a fuser, the whole run in small."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from detail_embed import fusers
from detail_embed.clver_ds import Queries, concepts, generate, read_queries
from detail_embed.cover import CompleteCover
from detail_embed.demo.examples import Example, best_first, find_examples
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.demo.table import encode, retrieval_rows, score_methods
from detail_embed.texts.templates import encode_query
from tests.tiny import tiny_backbone

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OFFERED = """
import sys
from detail_embed.demo.fiftyone_home import isolate
isolate(sys.argv[1])
import fiftyone as fo
(name,) = fo.list_datasets()
print(fo.load_dataset(name).info["detail_examples"])
"""


def test_proxies_hold_no_word_that_is_held_out():
    texts = demo_vocabulary().words
    assert len(set(texts)) == len(texts) > 1000
    forbidden = {c.name for c in concepts("both") if not c.is_proxy}
    assert not forbidden & set(texts)
    assert {c.name for c in concepts("both") if c.is_proxy} <= set(texts)


def test_scores_of_every_method(tmp_path):
    backbone = tiny_backbone(tmp_path)
    generate(tmp_path / "scenes", 3, size=128, objects=(2, 3))
    queries = read_queries(tmp_path / "scenes")
    mean = fusers.create("mean", dim=backbone.dim)
    few = fusers.create("few", dim=backbone.dim, k=3)
    images = [*encode(queries.paths, backbone, CompleteCover(3))]
    few.fit(torch.cat(images))
    scores = score_methods(queries, backbone, images, {"mean": mean, "few": few})
    assert list(scores) == ["global", "mean", "few", "MaxSim"]
    for values in scores.values():
        assert values.shape == queries.target_scale.shape
    assert (scores["MaxSim"] >= scores["global"] - 1e-6).all()
    texts = torch.stack([encode_query(backbone, word) for word in queries.words])
    best = torch.stack([(texts @ few(i[None])[0].T).amax(dim=1) for i in images], 1)
    np.testing.assert_allclose(scores["few"], best, atol=1e-5)
    alone = encode(queries.paths, backbone, CompleteCover(1))
    alone = score_methods(queries, backbone, alone, {"mean": mean})
    assert np.allclose(alone["MaxSim"], alone["global"], atol=1e-5)
    assert np.allclose(alone["global"], scores["global"], atol=1e-5)
    rows = retrieval_rows(queries, scores)
    assert {row.method for row in rows} == set(scores)


def test_an_unreadable_scene_is_named(tmp_path):
    backbone = tiny_backbone(tmp_path)
    with pytest.raises(ValueError, match="gone.jpg"):
        list(encode([tmp_path / "gone.jpg"], backbone, CompleteCover(1)))


def test_examples_are_small_gain_and_are_found():
    queries = Queries(
        paths=[Path(f"/{n}.jpg") for n in range(3)],
        words=["dog", "cat", "bee", "red cube", "blue cube"],
        banks=["things"] * 3 + ["solids"] * 2, groups=["proxy"] * 5,
        target_scale=np.array(
            [[0.3, 0, 0], [0, 0.04, 0], [0.05, 0, 0.02], [0, 0, 0.03], [0.03, 0, 0]]
        ),
    )
    shown = (queries.target_scale > 0).astype(float)
    scores = {"few": shown, "global": -shown}
    assert best_first(queries, scores, "few")[-1] == 0  # the large dog

    class Index:
        """Finds everything but bees."""

        def search(self, word, k):
            row = queries.words.index(word)
            order = np.argsort(-shown[row] if word != "bee" else shown[row])
            paths = [str(queries.paths[i]) for i in order[:k]]
            return SimpleNamespace(view=SimpleNamespace(values=lambda _: paths))

    found = find_examples(queries, scores, "few", Index())
    assert [example.word for example in found] == ["cat", "dog", "red cube"]
    assert found[0] == Example("cat", 1, pytest.approx(4.0))


def test_the_whole_run_and_its_second_time(tmp_path, fresh_python):
    code = "import runpy; runpy.run_module('detail_embed.demo.run', None, '__main__')"
    arguments = ["--home", tmp_path, "--n", 12, "--size", 320, "--no-app"]

    def run():
        done = fresh_python(code, *arguments, folder=ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run()
    assert "what a search of all patches finds" in first or "unmeasured" in first
    for method in ("the whole image", "1 vector an image", "all patches"):
        assert method in first
    (results,) = (tmp_path / "results").iterdir()
    rows = list(csv.DictReader((results / "table.csv").open()))
    methods = {r["method"] for r in rows}
    assert {"global", "1 vector", "MaxSim"} < methods and len(methods) == 4
    assert {r["bank"] for r in rows} == {"things", "solids"}
    assert (results / "map-over-scale.png").stat().st_size > 10_000
    assert "all words   held-out words" in first
    examples = json.loads((results / "examples.json").read_text())
    known = {c.name for c in concepts("both")}
    assert len(examples) > 1 and {example["word"] for example in examples} <= known
    *_, last = first.splitlines()
    assert last.startswith(f"Type “{examples[0]['word']}” into the panel: ")
    shown = fresh_python(OFFERED, tmp_path, folder=ROOT)
    assert shown.stdout.splitlines()[-1] == repr([e["word"] for e in examples])
    written = {f: f.stat().st_mtime_ns for f in results.iterdir()}
    second = run()
    assert "all patches" in second
    assert written == {f: f.stat().st_mtime_ns for f in results.iterdir()}
