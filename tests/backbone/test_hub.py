"""Weights on the disk, on a hub that answers, and on one that does not."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from detail_embed.backbone import hub
from detail_embed.backbone.backbone import Backbone

TAG = {"hf_hub": "somebody/weights/"}


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_asked", {})
    monkeypatch.setattr(hub, "PATIENCE", 0.5)
    return tmp_path


@pytest.fixture
def silent(monkeypatch):
    """A hub that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        yield


@pytest.fixture
def answering(monkeypatch):
    """A hub that answers, if only that it knows nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    yield
    server.shutdown()
    server.server_close()


def test_a_hub_that_does_not_answer_is_said_at_once(silent):
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="out of reach.*Weights"):
        Backbone.load("ViT-B-32", "laion2b_s34b_b79k")
    with pytest.raises(RuntimeError, match="out of reach.*local-dir:"):
        Backbone.load("hf-hub:somebody/weights@main")
    assert time.monotonic() - started < 5


def test_what_is_known_of_a_hub_is_not_asked_again(silent):
    assert not hub.seems_out_of_reach(TAG, patience=0.0)  # not known yet
    assert hub.seems_out_of_reach(TAG, patience=2.0)
    started = time.monotonic()
    assert hub.seems_out_of_reach(TAG, patience=2.0)
    assert time.monotonic() - started < 0.4


def test_a_hub_that_answers(answering):
    hub.check_found(TAG)
    assert not hub.seems_out_of_reach(TAG)


def test_weights_on_the_disk_are_found_without_a_hub(silent, empty_cache):
    assert hub.find(TAG) is None
    folder = empty_cache / "models--somebody--weights"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    file = folder / "snapshots" / "abc" / "open_clip_pytorch_model.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    assert hub.find(TAG) == hub.find(hub.config_of("hf-hub:somebody/weights"))
    assert hub.find(TAG) == str(file)
    hub.check_found(TAG)
    assert hub._asked == {}
