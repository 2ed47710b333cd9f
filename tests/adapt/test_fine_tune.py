"""Fine-tuning: invented words are learned, little is lost, a kill goes on."""

import dataclasses
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from detail_embed.adapt import models, tuning
from detail_embed.adapt.blend import Blend, decide, mix
from detail_embed.adapt.crops import cut, load, windows
from detail_embed.adapt.fine_tune import COARSE, Task, fine_tune
from detail_embed.adapt.pictures import Picture, Said, check_pictures
from detail_embed.adapt.tuning_config import TuningConfig, usual_rate
from detail_embed.adapt.tuning_judge import Found
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.cover.patches import PatchSpec
from detail_embed.texts.templates import TEMPLATES
from tests.tiny import TINY, register_tiny

QUICK = TuningConfig(
    method="full", epochs=3, batch_size=64, patience=9, learning_rate=3e-4
)
TASK = Task("toys", "detail-demo", None, "the toys", TEMPLATES, QUICK, 4, "cpu")


def finish(pictures, task=TASK):
    steps, seen = fine_tune(pictures, task), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return end.value, seen


def of(task=TASK, name="toys", pretrained=None, **config):
    config = dataclasses.replace(task.config, **config)
    return dataclasses.replace(task, name=name, pretrained=pretrained, config=config)


@pytest.fixture(scope="module")
def learned(invented, tmp_path_factory):
    """A model that was fine-tuned in three passes, and its file."""
    folder = tmp_path_factory.mktemp("learned")
    before = os.environ.get("DETAIL_EMBED_DATA")
    os.environ["DETAIL_EMBED_DATA"] = str(folder)
    facts, seen = finish(invented)
    found = models.describe("toys"), models.checkpoint("toys"), seen
    is_gone = not models.training_directory("toys").exists()
    if before is not None:
        os.environ["DETAIL_EMBED_DATA"] = before
    assert found[0] == facts and is_gone
    return found


@pytest.mark.slow
def test_invented_words_are_learned_and_the_file_is_taken(learned, invented):
    facts, path, seen = learned
    assert facts.is_offered and facts.verdict["gain"][0] > 0.1
    assert facts.verdict["lost"] <= 0.02
    assert [e["number"] for e in facts.history] == [0, 1, 2, 3]
    assert (facts.images, facts.held_out, facts.skipped) == (48, 10, 0)
    assert len(facts.blends) == 6 and facts.versions["torch"]
    assert seen[-1].fraction == 1 and any("Pass 3" in one.text for one in seen)
    start = Backbone.load("detail-demo", device="cpu")
    adapted = Backbone.load("detail-demo", pretrained=path, device="cpu")
    assert adapted.slug != start.slug and adapted.dim == start.dim
    assert not adapted.is_random


@pytest.mark.slow
def test_a_checkpoint_of_another_architecture(learned, tmp_path, invented):
    register_tiny(tmp_path)
    task = dataclasses.replace(TASK, backbone=TINY, pretrained=str(learned[1]))
    with pytest.raises(ValueError, match=f"is not a checkpoint of {TINY}"):
        finish(invented, task)


@pytest.mark.slow
def test_texts_without_boxes_take_the_windows_that_fit_best(invented):
    pictures = [
        Picture(p.path, tuple(Said(one.text) for one in p.said)) for p in invented
    ]
    facts, _ = finish(pictures, of(method="lora", epochs=1))
    windows_of_all = 38 * len(CompleteCover(COARSE).boxes(192, 192))
    assert facts.crops == windows_of_all and facts.config["method"] == "lora"
    assert facts.history[1]["loss"] > 0 and len(facts.blends) == 6


@pytest.mark.slow
def test_a_kill_in_the_middle_goes_on_and_ends_the_same(invented, data, learned):
    script = (
        "import sys, json, torch; torch.set_num_threads(1)\n"
        "from tests.adapt.test_fine_tune import *\n"
        "pictures = [Picture(p, tuple(Said(t, tuple(b)) for t, b in said))\n"
        "            for p, said in json.load(open(sys.argv[1]))]\n"
        "for stage in fine_tune(pictures, TASK): print(stage.text, flush=True)\n"
    )
    said = [(p.path, [(s.text, s.box) for s in p.said]) for p in invented]
    file = data.parent / "pictures.json"
    file.write_text(json.dumps(said))
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        for line in process.stdout:
            if line.startswith("Pass 1"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert models.training_directory("toys").is_dir() and not models.names()
    facts, seen = finish(invented)
    passes = [one.text for one in seen if one.text.startswith("Pass")]
    assert [line.split(":")[0] for line in passes] == ["Pass 2", "Pass 3"]
    whole = learned[0].history
    for key in ("loss", "held_out", "nouns"):
        got = [epoch[key] for epoch in facts.history[1:]]
        np.testing.assert_allclose(got, [e[key] for e in whole[1:]], atol=0.05)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_keeps_the_best_and_says_so(invented, monkeypatch):
    calls, contrast = [], tuning.contrast

    def breaks(*args):
        calls.append(1)
        return contrast(*args) * (float("nan") if len(calls) > 20 else 1)

    monkeypatch.setattr(tuning, "contrast", breaks)
    facts, _ = finish(invented, of(epochs=5))
    assert "nan in pass" in facts.stopped and "below 0.0003" in facts.stopped
    assert 1 <= facts.history[-1]["number"] < 5
    assert all(np.isfinite(epoch["held_out"]) for epoch in facts.history)


@pytest.mark.slow
def test_a_full_disk_says_what_to_do_and_nothing_is_lost(invented, monkeypatch):
    save = tuning.Checkpoint.save

    def full(self, number, *args):
        if number == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, number, *args)

    said = "disk of .* is full .*goes on where it was"
    with monkeypatch.context() as patch:
        patch.setattr(tuning.Checkpoint, "save", full)
        with pytest.raises(RuntimeError, match=said):
            finish(invented, of(epochs=1))
    facts, seen = finish(invented, of(epochs=1))
    assert not any(one.text.startswith("Pass 0") for one in seen)
    assert facts.history[-1]["number"] == 1


def test_a_file_that_may_not_grow_is_a_full_disk(invented, data):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RuntimeError, match="the disk of .* is full"):
            finish(invented)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(models.training_directory("toys").glob("*.u8"))


@pytest.mark.parametrize(("said", "message"), [
    ([], "says nothing of these images: all of it is empty"),
    ([Said("  ")], "has an empty text"),
    ([Said("cat")], "says the same of every image, 'cat'"),
])
def test_texts_that_nothing_can_be_learned_from(said, message):
    with pytest.raises(ValueError, match=f"the field 'x' {message}"):
        check_pictures([Picture("a.jpg", tuple(said))] * 30, "the field 'x'")


def test_too_few_images(invented):
    with pytest.raises(ValueError, match="12 images only.*at least 20"):
        finish(invented[:12])


@pytest.mark.slow
def test_images_that_cannot_be_read(invented, tmp_path):
    gone = [Picture(str(tmp_path / f"{i}.jpg"), p.said) for i, p in enumerate(invented)]
    facts, _ = finish([*invented, *gone[:3]], of(method="heads", epochs=1))
    assert facts.skipped == 3 and facts.config["method"] == "heads"
    with pytest.raises(ValueError, match=r"only 0 of the images to train on .*0\.jpg"):
        finish(gone, of(name="gone"))


@pytest.mark.slow
def test_another_training_of_that_name(invented):
    steps = fine_tune(invented, TASK)
    for stage in steps:
        if stage.text.startswith("Pass 0"):
            break
    steps.close()
    with pytest.raises(ValueError, match="another training.*learning_rate"):
        finish(invented, of(learning_rate=0.5))


def test_crops_of_other_images_are_cut_anew(invented, tmp_path):
    path, cover, spec = tmp_path / "a.u8", CompleteCover(2), PatchSpec(32)
    assert list(cut(invented[:2], cover, spec, path, every=False)) == [1, 2]
    first = load(path)
    assert list(cut(invented[:2], cover, spec, path, every=False)) == []
    assert list(cut(invented[2:5], cover, spec, path, every=False)) == [1, 2, 3]
    assert load(path).key != first.key and set(load(path).images) == {0, 1, 2}


def test_boxes_choose_the_windows_that_show_them():
    cover = CompleteCover(4)
    boxes = cover.boxes(400, 400)
    x0, y0, x1, y1 = (boxes[7] / 400).tolist()
    picture = Picture("a", (Said("cat", (x0, y0, x1 - x0, y1 - y0)), Said("dog")))
    found = windows(picture, cover, 400, 400, every=False)
    assert found[7] == ["cat"] and "dog" in found[0] and len(found) <= 5
    every = windows(picture, cover, 400, 400, every=True)
    assert list(every) == list(range(len(boxes))) and "cat" in every[7]


def test_mixing_and_the_gate():
    start, end = {"w": torch.zeros(2), "n": torch.tensor(3)}, {
        "w": torch.ones(2), "n": torch.tensor(3)
    }
    assert mix(start, end, 0.25)["w"].tolist() == [0.25, 0.25]
    assert mix(start, end, 1.0)["w"] is end["w"]

    def found(texts, nouns):
        return Found(np.full(20, texts) + np.linspace(0, 0.01, 20), np.full(9, nouns))

    before = found(0.5, 0.8)

    def gate(*pairs):
        measured = []
        for alpha, (texts, nouns) in enumerate(pairs):
            one = found(texts, nouns)
            blend = Blend(alpha, one.retrieval, one.kept, one.lost(before))
            measured.append((blend, one))
        return decide(measured, before)

    good = gate((0.6, 0.79), (0.7, 0.785), (0.9, 0.7))
    assert good.is_offered and good.alpha == 1
    assert good.gain[0] == pytest.approx(0.2) and good.lost == pytest.approx(0.015)
    assert "nouns would lose more than 2 points" in gate((0.9, 0.7)).reason
    assert "does not rise" in gate((0.4, 0.8)).reason
    assert not gate((0.5, 0.8)).is_offered


@pytest.mark.slow
def test_models_by_name(learned, monkeypatch, tmp_path):
    facts, path, _ = learned
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(path.parents[2]))
    assert models.names() == ["toys"]
    assert models.offered("detail-demo") == {"toys": str(path)}
    assert models.offered("ViT-B-32") == {}
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path))
    no = {**facts.verdict, "is_offered": False, "reason": "nouns would lose"}
    models.save(dataclasses.replace(facts, name="bad", verdict=no), {})
    with pytest.raises(ValueError, match="'bad' is not offered: nouns would lose"):
        models.checkpoint("bad")
    with pytest.raises(ValueError, match="no adapted model is called 'x'.*'bad'"):
        models.describe("x")
    (tmp_path / "adapted/bad/adapted.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged.*delete it"):
        models.describe("bad")
    models.delete("bad")
    assert models.names() == []
    with pytest.raises(ValueError, match="cannot name an adapted model"):
        models.check_name("a b")


def test_a_large_model_is_trained_more_slowly():
    for method in ("lora", "heads", "full"):
        assert usual_rate(method, 150_000_000) < usual_rate(method, 7_000_000) / 10


@pytest.mark.parametrize(("change", "message"), [
    ({"method": "magic"}, "method must be one of"),
    ({"rank": 1}, "rank must be 2 to 8"),
    ({"epochs": 0}, "epochs must be at least 1"),
    ({"learning_rate": -1}, "learning_rate must be above 0"),
    ({"stay": "much"}, "stay must be a number"),
    ({"time_budget": 0}, "time_budget must be above 0"),
])
def test_choices_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        TuningConfig(**change)
