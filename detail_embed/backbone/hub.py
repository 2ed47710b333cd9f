"""Where the weights of a tag are: on this disk, or on a hub that may be out of reach.

open_clip asks a hub many times over, for a minute, and even for what is on the disk.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.utils import get_session

PATIENCE = 8.0  # seconds until a hub has to say anything; a download may take its time
_KNOWN = 60.0  # seconds for which an answer is remembered
_USUAL = "open_clip_pytorch_model.bin"
_SAFE = {_USUAL: "open_clip_model.safetensors"}

_lock = threading.Lock()
_asked: dict[str, _Question] = {}


@dataclass
class _Question:
    """Whether a hub answers; asked in a thread, which a dead name server can hold up.

    Attributes:
        asked: when, by the monotonic clock
        done: set when it is known
        error: why it does not answer, None where it does
    """

    asked: float
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def ask(self, address: str) -> None:
        try:
            get_session().head(address, timeout=PATIENCE)
        except Exception as error:  # of whatever library is below
            self.error = error
        self.done.set()


def find(config: dict[str, Any]) -> str | None:
    """The weights of a tag on this disk, without asking a hub; None for none.

    Args:
        config: of ``open_clip.get_pretrained_cfg``
    """
    if config.get("file"):
        return config["file"]
    if not config.get("hf_hub"):
        name = os.path.basename(config.get("url", ""))
        path = os.path.join(os.path.expanduser("~/.cache/clip"), name)
        return path if os.path.isfile(path) else None
    repository, file = os.path.split(config["hf_hub"])
    for name in _files(file or _USUAL):
        path = try_to_load_from_cache(repository, name)
        if isinstance(path, str):
            return path
    return None


def config_of(name: str) -> dict[str, Any]:
    """What :func:`find` takes, of an ``"hf-hub:"`` name."""
    repository = name.removeprefix("hf-hub:").partition("@")[0]
    return {"hf_hub": f"{repository}/"}


def check_found(config: dict[str, Any]) -> None:
    """Checks that the weights of a tag are on this disk, or that their hub answers.

    Raises:
        ConnectionError: saying which hub does not, and why; after ``PATIENCE`` at most
    """
    if find(config) is not None:
        return
    address = _address(config)
    question = _question(address)
    if not question.done.wait(PATIENCE):
        reason = f"it has not answered for {PATIENCE:g} s"
    elif question.error is None:
        return
    else:
        reason = " ".join(str(question.error).split()) or repr(question.error)
    raise ConnectionError(f"{urlsplit(address).netloc} is out of reach: {reason}")


def seems_out_of_reach(config: dict[str, Any], patience: float = 1.0) -> bool:
    """Whether the hub of a tag's weights is known not to answer, by now or soon."""
    question = _question(_address(config))
    return question.done.wait(patience) and question.error is not None


def _files(name: str) -> list[str]:
    """The names under which open_clip looks for weights, in its order."""
    stem, suffix = os.path.splitext(name)
    safe = f"{stem}.safetensors" if suffix in (".bin", ".pth") else None
    return [n for n in (_SAFE.get(name, safe), name) if n]


def _address(config: dict[str, Any]) -> str:
    return constants.ENDPOINT if config.get("hf_hub") else config.get("url", "")


def _question(address: str) -> _Question:
    """The newest question to a hub; a new one where that is too old."""
    with _lock:
        known = _asked.get(address)
        if known is None or time.monotonic() - known.asked > _KNOWN:
            known = _asked[address] = _Question(time.monotonic())
            ask = threading.Thread(target=known.ask, args=(address,), daemon=True)
            ask.start()
    return known
