"""Runs in progress, as others see them while they go on and when they end."""

from datetime import datetime

import fiftyone as fo
import pytest

from detail_embed.fiftyone_bridge.runs import board as run_board
from detail_embed.fiftyone_bridge.runs.board import (
    DONE,
    FAILED,
    RUNNING,
    SILENT,
    STOPPED,
    RunBoard,
)
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples.mongo import database_time

HALF, MOST = Progress("half", 0.5), Progress("most", 0.75)


@pytest.fixture
def empty():
    dataset = fo.Dataset()
    yield dataset
    dataset.delete()


@pytest.fixture
def board(empty):
    return RunBoard(empty)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still, but for what is added to it."""

    class Clock:
        now = 5000.0

    for name in ("_now", "monotonic"):
        monkeypatch.setattr(run_board, name, lambda: Clock.now)
    return Clock


def the_note(board):
    (note,) = board.notes()
    return note


def test_from_start_to_end(board, clock):
    assert board.notes() == board.running() == []
    run = board.track("Compute", [HALF, MOST])
    assert board.notes() == []  # nothing starts before it is iterated over
    clock.now += 10
    assert next(run) == HALF
    note = the_note(board)
    assert (note.label, note.state, note.started) == ("Compute", RUNNING, 5010.0)
    clock.now += 10
    assert next(run) == MOST
    note = the_note(board)
    assert (note.text, note.fraction, note.updated) == ("most", 0.75, 5020.0)
    assert board.running() == [note]
    assert list(run) == []
    note = the_note(board)
    assert (note.state, note.text, note.fraction) == (DONE, "most", 1.0)
    assert note.started == 5010.0 and board.running() == []


def test_a_run_passes_on_what_it_tracks(board):
    steps = [Progress(str(i), i / 9) for i in range(10)]
    assert list(board.track("Run", iter(steps))) == steps


def test_failed(board):
    def run():
        yield HALF
        raise ValueError("the disk is full: free some space")

    with pytest.raises(ValueError, match="disk is full"):
        list(board.track("Run", run()))
    note = the_note(board)
    assert note.state == FAILED and note.fraction == 0.5
    assert note.text == "the disk is full: free some space"


def test_a_killed_python_is_a_failure(board):
    def run():
        yield HALF
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(board.track("Run", run()))
    assert the_note(board).state == FAILED


def test_stopped(board):
    closed = []

    def run():
        try:
            yield HALF
            yield MOST
        finally:
            closed.append(True)

    steps = run()
    tracked = board.track("Run", steps)
    next(tracked)
    tracked.close()
    note = the_note(board)
    assert (note.state, note.fraction) == (STOPPED, 0.5)
    del steps
    assert closed


def test_stopped_by_another_board(empty, clock):
    closed = []

    def run():
        try:
            for number in range(100):
                yield Progress(str(number), number / 100)
        finally:
            closed.append(True)

    one, two = RunBoard(empty), RunBoard(empty)
    steps, other = one.track("Run", run()), one.track("Other", run())
    for tracked in (steps, other):
        clock.now += 5
        next(tracked)
    two.stop(next(note.id for note in two.notes() if note.label == "Run"))
    assert len(two.notes()) == 2
    clock.now += 5
    assert list(steps) == [] and closed == [True]
    assert [note.state for note in two.notes()] == [RUNNING, STOPPED]
    assert two.notes()[1].text == "1"
    clock.now += 5
    assert next(other).text == "1"


def test_times_are_by_the_clock_of_the_database(board, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 7.0)  # of a host without a clock
    run = board.track("Run", [HALF])
    next(run)
    age = database_time() - datetime.utcfromtimestamp(the_note(board).updated)
    assert abs(age.total_seconds()) < 60 and the_note(board).state == RUNNING
    run.close()


def test_nothing_heard_for_long(board, clock):
    run = board.track("Run", [HALF, MOST])
    next(run)
    clock.now += run_board._SILENT_AFTER
    assert the_note(board).state == RUNNING
    clock.now += 1
    assert the_note(board).state == SILENT and board.running() == []
    next(run)
    assert board.running() == [the_note(board)]
    list(run)
    clock.now += 2 * run_board._SILENT_AFTER
    assert the_note(board).state == DONE


def test_notes_are_written_once_a_second(board, clock, monkeypatch):
    written = []
    write = RunBoard._write

    def count(self, note):
        written.append(note)
        return write(self, note)

    monkeypatch.setattr(RunBoard, "_write", count)
    for _ in board.track("Run", [Progress(str(i), i / 100) for i in range(100)]):
        clock.now += 0.25
    assert 20 <= len(written) <= 28
    assert written[-1].state == DONE and written[-1].text == "99"


def test_the_curve_of_a_training(board, clock):
    epochs = [{"number": i, "loss": 1 / (i + 1)} for i in range(3)]
    steps = [Progress(f"Epoch {i}", i / 3, tuple(epochs[: i + 1])) for i in range(3)]
    steps.append(Progress("writing", 0.9))
    for number, _ in enumerate(board.track("Train", steps)):
        clock.now += 2
        if number:
            assert the_note(board).history == epochs[: number + 1]
    assert the_note(board).history == epochs


def test_two_boards_see_each_other(empty, clock):
    one, two = RunBoard(empty), RunBoard(empty)
    first = one.track("First", [HALF, MOST])
    next(first)
    clock.now += 5
    second = two.track("Second", [HALF, MOST])
    next(second)
    for board in (one, two):
        assert [note.label for note in board.notes()] == ["Second", "First"]
        assert [note.state for note in board.notes()] == [RUNNING] * 2
    second.close()
    assert [note.label for note in one.running()] == ["First"]


def test_datasets_do_not_share(board):
    other = fo.Dataset()
    try:
        list(RunBoard(other).track("Elsewhere", [HALF]))
        assert board.notes() == []
    finally:
        other.delete()


def test_old_notes_go_away_by_themselves(board):
    list(board.track("Run", [HALF]))
    meta = board._store.get_metadata(the_note(board).id)
    assert meta["expires_at"] is not None
