"""From Enter to the grid: how long a search in the Detail Search panel takes.

    python benchmarks/panel_latency.py --images 5000

Makes a dataset of small images with a real index, opens the real App in a real
browser, searches, and prints the time until the App has the page of results, and
until every image of it is drawn; and how much of it is the panel's, from the App's
sending what was entered to its having our answer. The rest is the App's: it reads
dataset and page after the answer. What the App takes to show another view when nobody
searches is measured beside it. Needs Chromium or Chrome, and Playwright.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detail_embed.backbone.bundled_model import NAME as DEMO  # noqa: E402
from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

WORDS = ("red cube", "blue sphere", "cupcake", "bucket", "fish", "green cone", "key")
FLAGS = ["--no-sandbox", "--disable-gpu", "--use-gl=swiftshader"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRAWN = """() => {
    const all = [...document.querySelectorAll('[data-cy="looker"] canvas')];
    return all.length > 0 && all.every(
        c => c.getAttribute('canvas-loaded') === 'true');
}"""
PORT = 5199
_PAGE, _DRAWN = "Enter to page of results", "Enter to images drawn"
_OURS = "of which our answer"
_BARE = "for comparison, the App's own: view cleared to page of all images"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--searches", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        open_home(Path(folder) / "home")
        dataset = make(Path(folder), arguments.images)
        times = measure(dataset, arguments.searches)
        dataset.delete()
    for name, values in times.items():
        values = sorted(values)
        middle, most = statistics.median(values), values[int(0.9 * len(values))]
        worst = values[-1]
        print(f"{name}: median {middle:.2f} s, 90 % {most:.2f} s, worst {worst:.2f} s")


def make(folder: Path, count: int):
    """A dataset of ``count`` crops of scenes, with an index of whole images."""
    import fiftyone as fo
    from PIL import Image

    from detail_embed import clver_ds
    from detail_embed.fiftyone_bridge.compute import compute_index
    from detail_embed.fiftyone_bridge.index.index import Index
    from detail_embed.fiftyone_bridge.index.settings import Settings

    print(f"making {count} images and their index")
    clver_ds.generate(folder / "scenes", 24, size=1120)
    crops = folder / "crops"
    crops.mkdir()
    sources = [Image.open(p) for p in sorted((folder / "scenes").rglob("*.jpg"))]
    for i in range(count):
        x, y = 37 * i % 992, 101 * i % 992
        crop = sources[i % len(sources)].crop((x, y, x + 128, y + 128))
        crop.save(crops / f"{i:06d}.jpg")
    dataset = fo.Dataset("panel-latency")
    dataset.add_samples([fo.Sample(filepath=str(p)) for p in sorted(crops.iterdir())])
    settings = Settings(backbone=DEMO, cover=1, fuser="mean")
    compute_index.compute(Index.of(dataset, "detail"), dataset, settings).finish(
        progress=True
    )
    return dataset


def measure(dataset, searches: int) -> dict[str, list[float]]:
    """Seconds of every search, to the page of results and to its drawing."""
    import fiftyone as fo
    from playwright.sync_api import sync_playwright

    session = fo.launch_app(dataset, remote=True, address="127.0.0.1", port=PORT)
    times: dict[str, list[float]] = {
        name: [] for name in (_PAGE, _DRAWN, _OURS, _BARE)
    }
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page()
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"http://127.0.0.1:{PORT}/datasets/{dataset.name}")
        page.locator('[data-cy="looker"]').first.wait_for(timeout=120_000)
        page.wait_for_timeout(3000)
        for greeting in page.get_by_text("Dismiss", exact=True).all():
            greeting.click()
        page.locator('[data-cy="new-panel-btn"]').first.click()
        page.get_by_text("Detail Search", exact=True).first.click()
        box = page.locator('[data-cy="detail-prompt"] input')
        box.wait_for(timeout=120_000)
        page.wait_for_timeout(5000)
        for number in range(searches + 1):
            clear = page.get_by_text("Clear", exact=True).last
            if number:
                clear.click()
                clear.wait_for(state="detached")
                page.wait_for_timeout(3000)
            box.fill(f"{WORDS[number % len(WORDS)]} {number}")
            page.wait_for_timeout(500)
            started = time.monotonic()
            with (
                page.expect_request_finished(is_entered) as entered,
                page.expect_response(is_page, timeout=120_000),
            ):
                box.press("Enter")
            answered = time.monotonic() - started
            page.wait_for_function(DRAWN)
            if number:  # the first loads the model
                times[_PAGE].append(answered)
                times[_DRAWN].append(time.monotonic() - started)
                times[_OURS].append(entered.value.timing["responseEnd"] / 1000)
            page.wait_for_timeout(1500)
        for _ in range(searches):
            started = time.monotonic()
            with page.expect_response(is_page, timeout=120_000):
                page.locator('[data-cy="btn-clear-view-bar"]').click()
            times[_BARE].append(time.monotonic() - started)
            page.wait_for_timeout(3000)
            with page.expect_response(is_page, timeout=120_000):
                box.fill(WORDS[0])
                box.press("Enter")
            page.wait_for_timeout(1500)
    session.close()
    return times


def is_page(response) -> bool:
    """Whether the App reads the images of another view."""
    body = response.request.post_data or ""
    return "query paginateSamplesQuery" in body and '"after":null' in body


def is_entered(request) -> bool:
    """Whether the panel sends what was entered."""
    return '"__method__":"on_enter"' in (request.post_data or "")


if __name__ == "__main__":
    main()
