"""The Detail Search panel as a person uses it, for browser tests."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Response, TimeoutError, expect

from tests.e2e.app_page import FIRST_LOAD, SEARCH, AppPage

_TRIES = 8
_HEARD = 15_000  # milliseconds until the answer to a click has come


def _is_tab_event(response: Response) -> bool:
    return '"__method__":"on_tab"' in (response.request.post_data or "")


def _is_threshold_event(response: Response) -> bool:
    return '"__method__":"on_threshold"' in (response.request.post_data or "")


class PanelPage:
    """The panel in one browser tab.

    Args:
        app: the tab
    """

    def __init__(self, app: AppPage):
        self.app = app
        self.page = app.page

    def open(self) -> None:
        """Opens the panel beside the grid, and waits until it is drawn."""
        self.app.hook("new-panel-btn").first.click()
        self.page.get_by_text("Detail Search", exact=True).first.click()
        self.await_drawn()

    def await_drawn(self) -> None:
        """Waits until the panel shows a tab or its first page."""
        search = self.app.hook("detail-prompt-box")
        start = self.button("Look again")
        expect(search.or_(start).first).to_be_visible(timeout=FIRST_LOAD)

    def button(self, name: str) -> Locator:
        """The button of the panel with this label."""
        return self.page.get_by_role("button", name=name, exact=True)

    def tab(self, name: str) -> None:
        """Goes to a tab."""
        tabs = self.page.get_by_role("tab")
        tab = self.page.get_by_role("tab", name=name, exact=True)
        for _ in range(_TRIES):  # a click while the App draws the panel is lost
            try:
                with self.page.expect_response(_is_tab_event, timeout=_HEARD):
                    tab.click()
                break
            except TimeoutError:  # the App may take it for selected nevertheless
                tabs.filter(has_not_text=name).last.click()
        expect(tab).to_have_attribute("aria-selected", "true")

    @property
    def box(self) -> Locator:
        """Where a person types, on the tabs that search and compare."""
        return self.app.hook("detail-prompt").locator("input")

    def enter(self, prompt: str) -> None:
        """Types a prompt and presses Enter."""
        self.box.fill(prompt)
        self.box.press("Enter")

    def add(self, button: str, prompt: str) -> list[str]:
        """Types a prompt and clicks a button; returns the paths that the grid shows."""
        self.box.fill(prompt)
        return self.app.images_of(self.button(button).click, "detail_score")

    def search(self, prompt: str) -> list[str]:
        """Enters a prompt; returns the paths of the images that the grid shows."""
        return self.app.images_of(lambda: self.enter(prompt), "detail_score")

    def take_away(self, prompt: str) -> list[str]:
        """Takes a prompt away; returns what the grid shows then."""
        chip = self._chips.filter(has_text=prompt)
        return self.app.images_of(chip.get_by_test_id("CancelIcon").click)

    def clear(self) -> list[str]:
        """Clears the search; returns what the grid shows then."""
        button = self.page.locator("button").filter(has_text="Clear")
        return self.app.images_of(button.click)

    @property
    def prompts(self) -> list[str]:
        """The prompts of the search, below the box."""
        return self._chips.all_inner_texts()

    @property
    def _chips(self) -> Locator:
        return self.app.hook("detail-prompts").locator(".MuiChip-root")

    def await_text(self, pattern: str, timeout: float = SEARCH / 1000) -> Locator:
        """Waits until the panel shows a text; at most ``timeout`` seconds."""
        shown = self.page.get_by_text(re.compile(pattern)).first
        expect(shown).to_be_visible(timeout=1000 * timeout)
        return shown

    def choose(self, label: str, value: str) -> None:
        """Chooses from the list of the panel that has this label."""
        self.page.locator(
            f'xpath=//*[normalize-space(text())="{label}"]'
            '/following::*[@role="combobox"][1]'
        ).last.click()
        self.page.get_by_role("option").filter(has_text=value).first.click()

    def slide(self, share: float) -> None:
        """Sets the threshold to about a share of its range, 0 to 1."""
        slider = self.page.locator(".MuiSlider-root").last
        for step in range(_TRIES):  # a click while the App draws the panel is lost
            room = slider.bounding_box()
            x = (share - 0.01 * step) * room["width"]
            try:
                with self.page.expect_response(_is_threshold_event, timeout=_HEARD):
                    slider.click(position={"x": x, "y": room["height"] / 2})
                return
            except TimeoutError:
                continue

    def close_up(self, place: int) -> Locator:
        """The enlarged part of a hit; the best is 1."""
        return self.page.get_by_role("button", name=f"Close-up {place}", exact=True)

    def row(self, text: str) -> Locator:
        """The row of a table of the panel with this text."""
        return self.page.locator("tr").filter(has_text=text).first

    def pictures(self, side: str) -> Locator:
        """The thumbnails of the left or the right strip."""
        return self.page.locator(f'img[alt^="{side} "]')
