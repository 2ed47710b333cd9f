"""Classifiers that were cut short, moved or damaged, and what is no true or false."""

import subprocess
import sys

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.classifiers import Classifier
from detail_embed.fiftyone_bridge.classifiers import (
    library,
    predictions,
    unfinished,
)
from detail_embed.fiftyone_bridge.classifiers.apply import fair
from detail_embed.fiftyone_bridge.classifiers.targets import IMAGE, Item
from detail_embed.fiftyone_bridge.runs import processes

CLASSES = ["a", "b"]


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))


@pytest.fixture
def saved(dataset):
    """A classifier, and what it was trained on."""
    two = np.ones(2, np.float32)
    made = Classifier("linear", CLASSES, False, "s", np.eye(2), two, two, two)
    scores = np.array([[3.0, 4.0]])
    held_out = library.HeldOut([dataset.first().id], scores, scores[:, ::-1])
    library.save(dataset, "mine", made, held_out, {"name": "mine"})
    return dataset


def write(dataset):
    items = [Item(id) for id in dataset.values("id")]
    scores = np.tile([1.0, 2.0], (len(items), 1))
    arguments = dataset, "found", CLASSES, items, scores, IMAGE, False
    return predictions.write(*arguments)


def test_what_was_cut_short_is_written_anew(dataset, monkeypatch):
    def check(overwrite=False):
        predictions.check_target(dataset, "found", fo.Classification, overwrite)

    monkeypatch.setattr(predictions, "_BATCH", 10)
    steps = write(dataset)
    assert [next(steps).text for _ in range(2)][1] == "Writing labels: 10 of 24"
    with pytest.raises(ValueError, match="has labels for 10"):
        check()  # it is being written
    steps.close()
    check()
    for _ in write(dataset):
        pass
    with pytest.raises(ValueError, match="has labels for 24"):
        check()
    with pytest.raises(ValueError, match="overwrite='no': give True or False"):
        check("no")


def test_the_mark_of_a_killed_process(dataset):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    writer = {"place": processes.place(), "pid": ended.pid, "born": 1}
    dataset.add_sample_field(
        "found", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification,
        info={unfinished._WRITER: writer},
    )
    dataset.set_values("found", [fo.Classification(label="a")] * 24)
    predictions.check_target(dataset, "found", fo.Classification, False)
    for _ in write(dataset):
        pass
    with pytest.raises(ValueError, match="has labels for 24"):
        predictions.check_target(dataset, "found", fo.Classification, False)


def test_another_picture_than_was_trained_on_is_new(saved):
    held_out = library.held_out(saved, "mine")
    items = [Item(saved.first().id)]
    assert fair(np.array([[4.0, 3.0]]), items, held_out).tolist() == [[3, 4]]
    assert fair(np.array([[4.1, 3.0]]), items, held_out).tolist() == [[4.1, 3.0]]


def test_files_that_are_not_there(saved, tmp_path):
    library.load(saved, "mine").save(tmp_path / "alone")
    assert library.held_out(saved, tmp_path / "alone").ids == []
    folder = library.folder(saved, "mine")
    for name, read in (
        ("held_out.json", library.held_out), ("report.json", library.report)
    ):
        (folder / name).unlink()
        with pytest.raises(ValueError, match="damaged.*delete it, or train it anew"):
            read(saved, "mine")


def test_a_name_that_is_no_name_of_a_folder():
    library.check_name("x" * 100)
    with pytest.raises(ValueError, match="301 characters long: give a shorter one"):
        library.check_name("x" * 301)
