"""The FiftyOne App as a person uses it, for browser tests.

Selectors are the App's own test hooks (``data-cy``) where it has them, then
visible texts and accessible names; never a style class. Tried with FiftyOne
1.22.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, expect

VIEWPORT = {"width": 1440, "height": 900}
FIRST_LOAD = 120_000
SEARCH = 60_000
_TRIES = 3
QUALITY = 55  # of pictures: texts are sharp, and a full grid is below 150 KB


def is_first_page(response: Response) -> bool:
    """Whether the App reads the images of another view."""
    body = response.request.post_data or ""
    return "query paginateSamplesQuery" in body and '"after":null' in body


def _is_search(response: Response) -> bool:
    body = response.request.post_data or ""
    return '"operator_uri":"@voxel51/panels/similarity_search"' in body


class AppPage:
    """One browser tab with one dataset open in it.

    Args:
        page: a Playwright page
        url: where the App is served
        screenshots: the directory that :meth:`shoot` writes to
    """

    def __init__(self, page: Page, url: str, screenshots: Path):
        """Gives the page its size; nothing is loaded yet."""
        self.page = page
        self.url = url
        self.screenshots = screenshots
        page.set_viewport_size(VIEWPORT)

    def hook(self, name: str) -> Locator:
        """Finds what the App marks for tests with this name."""
        return self.page.locator(f'[data-cy="{name}"]')

    def open(self, dataset: str, view: str) -> None:
        """Loads a saved view of a dataset and waits until its grid shows images."""
        self._load(f"{self.url}/datasets/{dataset}?view={view}")
        expect(self.page.get_by_text("Unsaved view", exact=True)).to_have_count(0)

    def open_dataset(self, dataset: str) -> None:
        """Loads a dataset and waits until its grid shows images."""
        self._load(f"{self.url}/datasets/{dataset}")

    def _load(self, url: str) -> None:
        self.page.goto(url)
        self.hook("looker").first.wait_for(timeout=FIRST_LOAD)
        dismiss = self.page.get_by_text("Dismiss", exact=True)
        dismiss.or_(self.hook("fo-grid")).first.wait_for()
        if dismiss.is_visible():
            dismiss.click()
        self.settle()

    def settle(self) -> None:
        """Waits until every image that the grid shows has been drawn."""
        self.page.wait_for_function(
            """() => {
                const all = [...document.querySelectorAll(
                    '[data-cy="looker"] canvas')];
                return all.length > 0 && all.every(
                    c => c.getAttribute('canvas-loaded') === 'true');
            }""",
            timeout=FIRST_LOAD,
        )

    def shoot(self, name: str) -> None:
        """Saves what the browser shows as ``<name>.jpg``."""
        self.screenshots.mkdir(parents=True, exist_ok=True)
        path = self.screenshots / f"{name}.jpg"
        self.page.screenshot(path=path, type="jpeg", quality=QUALITY)

    @property
    def form(self) -> Locator:
        """The window of the operator that was opened."""
        return self.hook("operators-prompt-modal")

    def open_operator(self, label: str) -> None:
        """Opens an operator's form from the operator browser."""
        self.page.locator("body").click(position={"x": 2, "y": 2})  # out of an input
        self.page.keyboard.press("`")
        self.hook("operators-browser-search").fill(label)
        choice = self.hook("operators-browser").get_by_text(label, exact=True)
        choice.first.click()
        # empty until the App's server has imported torch, the first time
        cancel = self.form.get_by_role("button", name="Cancel", exact=True)
        cancel.wait_for(timeout=FIRST_LOAD)

    def fill(self, label: str, value: str) -> None:
        """Types into the field of the open form that has this label."""
        field = self.form.locator(
            f'xpath=.//*[normalize-space(text())="{label}"]/following::input[1]'
        )
        field.fill(value)
        field.press("Tab")
        expect(field).to_have_value(value)

    def choose(self, label: str, value: str) -> None:
        """Chooses from the list of the open form that has this label."""
        box = self.form.locator(
            f'xpath=.//*[normalize-space(text())="{label}"]'
            '/following::*[@role="combobox"][1]'
        )
        option = self.page.get_by_role("option").filter(has_text=value)
        for _ in range(_TRIES):  # the form may be drawn anew between two clicks
            if box.get_attribute("aria-expanded") != "true":
                box.click()
            option.first.click()
            with contextlib.suppress(AssertionError):
                return expect(box).to_contain_text(value)
        expect(box).to_contain_text(value)

    def check(self, label: str) -> None:
        """Ticks the box of the open form that has this label."""
        box = self.form.locator(
            f'xpath=.//*[normalize-space(text())="{label}"]'
            '/preceding::input[@type="checkbox"][1]'
        )
        box.check()
        expect(box).to_be_checked()

    def await_valid(self, button: str = "Execute") -> Locator:
        """Waits until the App accepts the form; returns its button."""
        found = self.form.get_by_role("button", name=button, exact=True)
        expect(found).to_be_enabled(timeout=15_000)
        return found

    def execute(self, button: str = "Execute") -> None:
        """Starts the operator whose form is open."""
        for _ in range(_TRIES):  # a click while the form is drawn anew is lost
            found = self.await_valid(button)
            found.click()
            with contextlib.suppress(AssertionError):
                return expect(found).to_have_count(0, timeout=15_000)
        expect(found).to_have_count(0)

    def await_problem(self, text: str, button: str = "Execute") -> None:
        """Waits until the open form says why it cannot be sent."""
        expect(self.form).to_contain_text(text, timeout=15_000)
        found = self.form.get_by_role("button", name=button, exact=True)
        expect(found).to_be_disabled()

    def cancel(self) -> None:
        """Closes the open form."""
        self.form.get_by_role("button", name="Cancel", exact=True).click()
        expect(self.form).to_have_count(0)

    @property
    def report(self) -> Locator:
        """The window in which an operator shows its result."""
        return self.page.get_by_role("dialog")

    def table(self, number: int = 0) -> list[list[str]]:
        """The texts of a table of the open window, its head first."""
        rows = self.report.locator("table").nth(number).locator("tr")
        return [row.locator("th, td").all_inner_texts() for row in rows.all()]

    def await_plot(self, *names: str) -> None:
        """Waits until the open window shows a readable plot with these lines."""
        plot = self.report.locator(".js-plotly-plot").first
        for name in names:
            legend = plot.locator(".legendtext").filter(has_text=name)
            expect(legend.first).to_be_visible(timeout=20_000)
        lines = plot.locator(".scatterlayer .trace .js-line")
        expect(lines).to_have_count(len(names))
        assert plot.bounding_box()["height"] > 300

    def await_text(self, pattern: str, timeout: float) -> None:
        """Waits until the App shows a text, for at most ``timeout`` seconds."""
        shown = self.page.get_by_text(re.compile(pattern)).first
        expect(shown).to_be_visible(timeout=1000 * timeout)

    def close_report(self) -> None:
        """Closes the window in which an operator reported its progress."""
        report = self.report
        if report.is_visible():
            report.get_by_role("button").filter(
                has_text=re.compile("^(Done|Close)$")
            ).click()
        expect(report).to_have_count(0, timeout=15_000)

    def pick(self, place: int) -> None:
        """Ticks the image at a place of the grid."""
        image = self.hook("looker").nth(place)
        image.hover()
        image.locator('[data-cy="looker-checkbox-"]').click()
        expect(image.locator('input[type="checkbox"]')).to_be_checked()

    def open_image(self, place: int) -> Locator:
        """Opens the image at a place of the grid; returns its window."""
        image = self.hook("looker").nth(place)
        box = image.bounding_box()
        corner = {"x": 0.7 * box["width"], "y": 0.9 * box["height"]}  # no checkbox
        image.click(position=corner)
        modal = self.hook("modal")
        modal.wait_for()
        return modal

    def search(self, text: str) -> list[str]:
        """Searches by text with the magnifying glass and shows the results.

        The App lists the search in a panel, beside the images that it found.

        Args:
            text: what a person would type

        Returns:
            the paths of the images in the grid, best first (the first page)
        """
        box = self._search_box()
        box.fill(text)
        with self.page.expect_response(_is_search, timeout=SEARCH):
            box.press("Enter")
        cards = self.page.locator('[aria-roledescription="sortable"]')
        card = cards.filter(has_text=f"{text} · ").first
        expect(card).to_contain_text("Completed", timeout=SEARCH)
        # forced: the card is a sortable item that is marked as disabled
        show = card.get_by_label("Show results")
        return self.images_of(lambda: show.click(force=True))

    def _search_box(self) -> Locator:
        """Opens the box of the magnifying glass.

        The App offers to buy a product instead for as long as its browser side
        does not know yet that there is an index.
        """
        box = self.page.get_by_placeholder("Type anything!")
        tab = self.hook("panel-tab-similarity_search_panel")
        for _ in range(_TRIES):
            self.hook("action-sort-by-similarity").click()
            with contextlib.suppress(AssertionError):
                expect(box).to_be_visible(timeout=10_000)
                return box
            if tab.count():
                self.close_searches()
        expect(box).to_be_visible()
        return box

    def images_of(self, action: Callable[[], None], field: str = "") -> list[str]:
        """Does what makes the App show other images.

        Args:
            action: does it
            field (""): a field that the new view sets, to tell it from others

        Returns:
            the paths of the images in the grid, in order (the first page)
        """
        def is_it(response: Response) -> bool:
            return is_first_page(response) and field in response.request.post_data

        with self.page.expect_response(is_it, timeout=SEARCH) as answer:
            action()
        samples = answer.value.json()["data"]["samples"]["edges"]
        self.settle()
        return [edge["node"]["sample"]["filepath"] for edge in samples]

    def close_searches(self) -> None:
        """Closes the panel that lists the searches: all room for the images.

        A narrow grid hides the magnifying glass, so a second search needs this.
        """
        tab = self.hook("panel-tab-similarity_search_panel")
        tab.get_by_title("Close").click()
        expect(tab).to_have_count(0)
        self.settle()

    def show_everything(self) -> None:
        """Clears the view bar, so that the grid shows the whole dataset."""
        with self.page.expect_response(is_first_page):
            self.hook("btn-clear-view-bar").click()
        expect(self.hook("view-bar")).not_to_contain_text("Select")
        self.settle()
