"""Files that open, but never deliver, as on a network that does not answer."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from detail_embed.images import open_file


@pytest.fixture
def hang(tmp_path, monkeypatch) -> Iterator:
    """Makes files hang: puts FIFOs in their place, which end with the test."""
    writers = []

    def stop(path: str | Path) -> Path:
        path = Path(path)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        writers.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        return path

    def open_any(path):
        if Path(path).is_fifo():
            with open(path, "rb") as fifo:
                return io.BytesIO(fifo.read())  # never comes
        return really(path)

    really = open_file._open_here
    monkeypatch.setattr(open_file, "_open_here", open_any)
    yield stop
    for writer in writers:
        os.close(writer)
