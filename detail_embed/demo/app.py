"""The demo's dataset, indexes and App in FiftyOne."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import webbrowser
from pathlib import Path
from typing import Any

import fiftyone as fo

from detail_embed import fusers
from detail_embed.backbone.bundled_model import NAME
from detail_embed.demo.proxies import demo_vocabulary
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.space import EmbeddingSpace

BRAIN_KEY = "detail"


def open_dataset(folder: Path) -> fo.Dataset:
    """Loads the scenes of a folder, once; later calls open the same dataset."""
    name = folder.name
    if fo.dataset_exists(name):
        return fo.load_dataset(name)
    return load_clver_ds(folder, name)


def compute_indexes(
    dataset: fo.Dataset, fuser: str, options: dict[str, Any]
) -> EmbeddingSpace:
    """Indexes the scenes: ``detail`` and ``detail_global``.

    Args:
        dataset: the scenes
        fuser: name of the fuser of the detail index
        options: its options

    Returns:
        the space of the detail index
    """
    has_words = fusers.kind(fuser).needs_words(**options)
    settings = Settings(
        backbone=NAME,
        fuser=fuser,
        fuser_options=options,
        proxies=demo_vocabulary().words if has_words else (),
        keep_features="float16",  # so that the panel shows at once where
    )
    backbone = settings.load_backbone()
    index = Index(dataset, BRAIN_KEY)
    record = index.record
    is_outdated = record is not None and (
        record.identity != settings.identity()
        or not record.space.startswith(backbone.slug)
    )
    run = compute_index.compute(
        index, dataset, settings, also_global=True, overwrite=is_outdated
    )
    return zoo.load(run.finish(progress=True).space, backbone)


def show(dataset: fo.Dataset, port: int, hint: str) -> None:
    """Opens the App and waits until it is closed.

    Args:
        dataset: what to show
        port: of the App, on 127.0.0.1
        hint: printed when the App is up
    """
    logging.getLogger("fiftyone").setLevel(logging.ERROR)  # pages of greetings
    session = fo.launch_app(dataset, remote=True, address="127.0.0.1", port=port)
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY"):
        webbrowser.open(f"http://127.0.0.1:{port}/datasets/{dataset.name}")
    print(hint, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        session.wait(-1)
