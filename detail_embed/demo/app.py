"""The demo's dataset, indexes and App in FiftyOne."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import webbrowser
from pathlib import Path

import fiftyone as fo

from detail_embed.backbone.bundled_model import NAME
from detail_embed.fiftyone_bridge import DetailIndex
from detail_embed.fiftyone_bridge.evaluate.suggestions import EXAMPLES
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model import zoo
from detail_embed.fiftyone_bridge.samples.clver_ds import load_clver_ds
from detail_embed.fusers import Fuser

BRAIN_KEY = "detail"
PANEL = "detail_search"


def open_dataset(folder: Path) -> fo.Dataset:
    """Loads the scenes of a folder, once; later calls open the same dataset."""
    name = folder.name
    if fo.dataset_exists(name):
        return fo.load_dataset(name)
    return load_clver_ds(folder, name)


def compute_index(dataset: fo.Dataset) -> DetailIndex:
    """Indexes the scenes as a person would: with all settings left alone."""
    index = DetailIndex(dataset, BRAIN_KEY)
    settings = Settings(backbone=NAME)
    backbone, record = settings.load_backbone(), index.record
    is_outdated = record is not None and (
        record.identity != settings.identity()
        or not record.space.startswith(backbone.slug)
    )
    index.compute(dataset, settings, overwrite=is_outdated, progress=None)
    return index


def single_fuser(index: DetailIndex) -> Fuser:
    """What makes the one vector per image beside a few."""
    slug = index.record.single_space or index.record.space
    return zoo.load(slug, index.space.backbone).fuser


def offer(dataset: fo.Dataset, examples: list[str]) -> None:
    """Keeps searches that are sure to find something, for the panel to offer."""
    dataset.info[EXAMPLES] = examples
    dataset.save()


def show(dataset: fo.Dataset, port: int, hint: str) -> None:
    """Opens the App and waits until it is closed.

    Args:
        dataset: what to show
        port: of the App, on 127.0.0.1
        hint: printed when the App is up
    """
    logging.getLogger("fiftyone").setLevel(logging.ERROR)  # pages of greetings
    session = fo.launch_app(
        dataset, remote=True, address="127.0.0.1", port=port, spaces=_beside_the_grid()
    )
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY"):
        webbrowser.open(f"http://127.0.0.1:{port}/datasets/{dataset.name}")
    print(hint, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        session.wait(-1)


def _beside_the_grid() -> fo.Space:
    """The App's layout with the panel at the side of the images."""
    halves = []
    for name in ("Samples", PANEL):
        panel = fo.Panel(type=name, pinned=name == "Samples")
        halves.append(fo.Space(children=[panel], active_child=panel.component_id))
    return fo.Space(children=halves, orientation="horizontal", sizes=[0.55, 0.45])
