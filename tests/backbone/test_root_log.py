"""Loading a model leaves a program's log as it was."""

import logging
import threading
from contextlib import contextmanager

import pytest

from detail_embed.backbone.root_log import untouched_root_log

LOADS = """
import logging
assert not logging.root.handlers
from detail_embed.backbone import Backbone
from detail_embed.backbone.bundled_model import NAME
from detail_embed.backbone.weights import create_model

other = logging.getLogger("other")
other.addHandler(logging.StreamHandler())
Backbone.load(NAME, device="cpu").encode_texts(["a car"])
create_model(NAME, None)
assert not logging.root.handlers, logging.root.handlers
other.warning("once")
"""


@contextmanager
def bare_root():
    """A root logger without handlers; pytest has its own there."""
    root = logging.getLogger()
    had, root.handlers = root.handlers, []
    try:
        yield root
    finally:
        root.handlers = had


def test_a_loaded_model_leaves_no_root_handler(fresh_python):
    from detail_embed.demo.fiftyone_home import CHECKOUT

    done = fresh_python(LOADS, folder=CHECKOUT)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("once") == 1


def test_warnings_are_printed_once_and_infos_are_not(capfd):
    with bare_root() as root:
        with untouched_root_log():
            logging.info("an info")
            logging.warning("a warning")
        assert root.handlers == []
    assert capfd.readouterr().err == "a warning\n"


def test_threads_that_load_at_once_leave_none():
    inside, leave = threading.Event(), threading.Event()

    def load():
        with untouched_root_log():
            inside.set()
            leave.wait(10)
            logging.info("the other has ended")

    with bare_root() as root:
        thread = threading.Thread(target=load)
        thread.start()
        inside.wait(10)
        with untouched_root_log():
            logging.info("the other goes on")
        leave.set()
        thread.join()
        assert root.handlers == []


def test_a_programs_own_handler_stays():
    own = logging.NullHandler()
    with bare_root() as root:
        root.addHandler(own)
        with pytest.raises(ValueError), untouched_root_log():
            raise ValueError
        assert root.handlers == [own]
