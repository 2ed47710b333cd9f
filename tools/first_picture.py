"""Takes the README's first picture: one search of the demo's scenes, in two indexes.

    make demo APP=0 && .venv/bin/python tools/first_picture.py

Above, what an index with all settings left alone finds, as close-ups; below, what the
vectors of the whole images find. Needs Chromium, as the browser tests do.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

open_home(ROOT / ".demo")

import fiftyone as fo  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402

from detail_embed.fiftyone_bridge.evaluate.suggestions import EXAMPLES  # noqa: E402
from tests.e2e.app_page import QUALITY, AppPage  # noqa: E402
from tests.e2e.conftest import BROWSER_FLAGS, BROWSERS, app_server  # noqa: E402
from tests.e2e.panel_page import PanelPage  # noqa: E402

DATASET = "clver-ds-200-1120"
OUT = ROOT / "docs/images/0-close-ups-and-whole-images.jpg"
SIZE = {"width": 1360, "height": 590}
ABOVE = 28  # pixels above the grid that belong to it: its tab
GAP = 12  # between the two searches


def take(app: AppPage) -> list[Path]:
    """Searches in both indexes, and saves what the browser shows."""
    thing, another, *_ = fo.load_dataset(DATASET).info[EXAMPLES]
    app.page.set_viewport_size(SIZE)
    app.open_dataset(DATASET)
    panel = PanelPage(app)
    panel.open()
    panel.search(another)  # the first search of a server loads the model
    panel.search(thing)
    app.images_of(panel.button("Close-ups").click, "detail_match")
    expect(panel.close_up(12)).to_be_visible()
    app.settle()
    app.shoot("close-ups")
    app.images_of(lambda: panel.choose("Index", "detail_global"), "detail_score")
    panel.await_text("by its vectors")
    app.settle()
    app.shoot("whole-images")
    return [app.screenshots / f"{name}.jpg" for name in ("close-ups", "whole-images")]


def put_together(files: list[Path], left: int, top: int) -> Image.Image:
    """Puts pictures below each other, without what is beside and above the grid."""
    parts = [Image.open(file) for file in files]
    parts = [part.crop((left, top, part.width, part.height)) for part in parts]
    height = sum(part.height for part in parts) + GAP
    whole = Image.new("RGB", (parts[0].width, height), "white")
    whole.paste(parts[0], (0, 0))
    whole.paste(parts[1], (0, parts[0].height + GAP))
    return whole


def main() -> None:
    """Opens the demo's App in a browser, and writes the picture."""
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with app_server() as url, sync_playwright() as playwright:
        tab = playwright.chromium.launch(
            executable_path=browser, args=BROWSER_FLAGS
        ).new_page()
        app = AppPage(tab, url, ROOT / "artifacts/first-picture")
        files = take(app)
        grid = app.hook("fo-grid").bounding_box()
        whole = put_together(files, round(grid["x"]), round(grid["y"]) - ABOVE)
        whole.save(OUT, quality=QUALITY)
        tab.context.browser.close()


if __name__ == "__main__":
    main()
