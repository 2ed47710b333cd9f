"""Files that never deliver: whatever asks for them goes on, and says so."""

import threading
import time
from dataclasses import replace

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.executor import ExecutionContext
from PIL import Image

from detail_embed import fusers
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover import CompleteCover
from detail_embed.distributed.parts import PartFolder
from detail_embed.distributed.worker import PartWorker
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.fiftyone_bridge.compute import compute_index, update
from detail_embed.fiftyone_bridge.curate import best_files
from detail_embed.fiftyone_bridge.exchange import import_vectors
from detail_embed.fiftyone_bridge.exchange.vector_files import ImageVectors
from detail_embed.fiftyone_bridge.index.coverage import coverage
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.search import examples
from detail_embed.fiftyone_bridge.where import show_where
from detail_embed.images import in_time, look, some_sizes
from detail_embed.images.file_source import FileSource
from detail_embed.images.image_file import UnreadableImage
from detail_embed.space import DetailEmbedder
from operators.panel import thumbnails
from tests.tiny import write_images

SETTINGS = Settings(
    backbone=DEMO, cover=2, fuser="mean", device="cpu", vectors=1,
    keep_features="float16", read_seconds=1.5,
)
SAID = "could not be read within 1.5 s: its disk or network does not answer"
FORM = "@detail/detail-embed/update_index"


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setattr(some_sizes, "_SECONDS", 1.0)
    monkeypatch.setenv("DETAIL_EMBED_DATA", str(tmp_path / "data"))
    return write_images(tmp_path, [(64, 48)] * 5)


@pytest.fixture
def own(paths):
    made = fo.Dataset()
    made.add_samples([fo.Sample(filepath=str(p)) for p in paths], progress=False)
    yield made
    made.delete()


@pytest.fixture
def soon(monkeypatch):
    """Whatever waits for as long as nobody says otherwise waits for a second."""
    for ask in (in_time.each, in_time.one, in_time.quick):
        names = ask.__code__.co_varnames[: ask.__code__.co_argcount]
        given = list(ask.__defaults__)
        given[names[-len(given) :].index("seconds")] = 1.0
        monkeypatch.setattr(ask, "__defaults__", tuple(given))


def compute(dataset, settings=SETTINGS):
    return compute_index.compute(
        Index(dataset, "detail"), dataset, settings, also_global=False
    ).finish()


def test_a_run_names_the_reason_and_the_form_offers_the_limit(own, paths, hang):
    kept = paths[1].read_bytes()
    hang(paths[1])
    run = compute(own)
    assert (run.embedded, run.failed, run.silent) == (4, 1, 0)
    (reason,) = run.reasons
    assert reason.startswith(SAID) and run.reasons[reason] == 1
    assert 'or raise read_seconds (in a form "Time limit of a file")' in reason
    told = foo.get_operator(FORM).summarise(run)
    assert "1 could not be read (see the field 'detail_error')" in told
    assert f"Of 1 the file {SAID}" in told
    assert coverage(Index(own, "detail"), own).reasons == {reason: 1}

    ctx = ExecutionContext(request_params={
        "dataset_name": own.name, "params": {"brain_key": "detail"}})
    inputs = foo.get_operator(FORM).resolve_input(ctx).type.properties
    assert "1 failed and are tried again (1 x" in inputs["coverage"].view.label
    assert inputs["read_seconds"].view.label == "Time limit of a file"
    paths[1].unlink()
    paths[1].write_bytes(kept)
    assert update.update(Index(own, "detail"), own).finish().embedded == 1
    inputs = foo.get_operator(FORM).resolve_input(ctx).type.properties
    assert "read_seconds" not in inputs


@pytest.mark.slow
def test_whether_one_has_changed_is_not_known_and_said(own, paths, hang, caplog):
    assert compute(own).embedded == 5
    hang(paths[3])
    began = time.monotonic()
    options = EncodeOptions(device="cpu", read_seconds=1.5)
    run = update.update(Index(own, "detail"), own, options=options).finish()
    assert time.monotonic() - began < 30
    assert (run.embedded, run.present, run.failed, run.silent) == (0, 5, 0, 1)
    told = foo.get_operator(FORM).summarise(run)
    assert "of 1 it is not known whether they have changed, as nothing came" in told
    assert "1 files gave nothing within 1.5 s, and keep the vectors" in caplog.text


def test_places_are_shown_of_the_others(own, paths, hang):
    compute(own, replace(SETTINGS, keep_features=False))
    hang(paths[0])
    options = EncodeOptions(device="cpu", read_seconds=1.0)
    run = show_where.show_where(Index(own, "detail"), own, "a dog", options=options)
    result = run.finish()
    assert result.images == 4
    ((path, reason),) = result.failed.items()
    assert path == str(paths[0]) and reason.startswith("could not be read within 1 s")


def test_what_files_are_now(paths, hang):
    many = [paths[0]] * 300 + [hang(paths[1])] + [paths[2]] * 299
    known = [(FileSource("old"), str(path)) for path in many]
    found = look.look(known, 1.0)
    assert [i for i, one in enumerate(found) if one is None] == [300]
    assert {one.content for one in found[:300]} != {one.content for one in found[301:]}
    assert look.look([], 1.0) == []


def test_a_stat_that_hangs(paths, monkeypatch):
    def state_of(path):
        if path == str(paths[1]):
            gate.wait()
        return "state"

    gate = threading.Event()
    monkeypatch.setattr(look, "state_of", state_of)
    names = list(map(str, paths))
    assert look.states(names, 1.0) == ["state", None, "state", "state", "state"]
    gate.set()


def test_files_that_are_embedded_by_hand(backbone, paths, hang, tmp_path, monkeypatch):
    space = DetailEmbedder(
        backbone, CompleteCover(2), fusers.create("mean", dim=backbone.dim)
    )
    space.embed_files(paths, out=tmp_path / "out", features=tmp_path / "features")
    hang(paths[4])
    result = space.embed_files(
        paths, out=tmp_path / "out", features=tmp_path / "new", read_seconds=1.0
    )
    assert [index for index, _, _ in result.errors] == [4]
    space.save(tmp_path / "space")
    folder = PartFolder.create(
        tmp_path / "parts", list(map(str, paths)), tmp_path / "space", part_rows=5
    )
    options = EncodeOptions(device="cpu", read_seconds=1.0)
    PartWorker(folder.directory, options)({"part": np.array([0])})
    assert folder.count(0) == (5, 1)


def test_the_best_of_several_files_is_one_that_answers(own, paths, hang, soon):
    Image.new("RGB", (999, 999)).save(paths[2])
    assert best_files.best_first(own)[0] == 2
    hang(paths[2])
    assert best_files.best_first(own)[-1] == 2


def test_examples(paths, hang, soon):
    path = hang(paths[0])
    with pytest.raises(UnreadableImage, match="could not be read within 1 s"):
        examples.crop(examples.Box(str(path), [0.1, 0.1, 0.5, 0.5]))
    with pytest.raises(ValueError, match="it could not be read within 1 s.*Choose an"):
        examples._open(path)


def test_sizes_before_a_run(paths, hang):
    hang(paths[0])
    assert len(some_sizes.some_sizes(paths)) == 4
    began = time.monotonic()
    assert len(some_sizes.some_sizes(paths)) == 4
    assert time.monotonic() - began < 1  # it is not asked again while it hangs


def test_the_file_that_a_vector_came_from(own, monkeypatch, soon):
    gate, first = threading.Event(), own.first()
    monkeypatch.setattr(import_vectors, "state_of", lambda path: gate.wait())
    vector = np.ones((1, 4), np.float32)
    found = ImageVectors(first.id, first.filepath, vector, None, None, None, None)
    chunk, _ = import_vectors._chunk(own, [found], 4)
    assert chunk.sources == [FileSource("")]
    gate.set()


def test_pictures_of_the_panel(paths, hang, monkeypatch):
    monkeypatch.setattr(thumbnails, "_SECONDS", 1.0)
    names = [str(path) for path in paths]
    whole = thumbnails.draw(names)
    hang(paths[2])
    began = time.monotonic()
    part = [0.1, 0.1, 0.5, 0.5]
    drawn = thumbnails.draw(names)
    assert 1 <= time.monotonic() - began < 10
    assert [a == b for a, b in zip(drawn, whole)] == [True, True, False, True, True]
    began = time.monotonic()
    close = thumbnails.crops(names, [part] * 5)
    assert time.monotonic() - began < 1  # it is not asked again while it hangs
    assert close[2] == drawn[2] and close[3] != drawn[3]
