"""A browser for tests of the page, and the page in it."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize

INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What a browser does by itself over the network is nothing to us; root has no sandbox.
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
WIDE: ViewportSize = {"width": 1440, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
SECONDS = 1_000.0
# A machine that does much else is slow.
PATIENCE = 30 * SECONDS


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Start the browser that is installed, else the one that Playwright brought."""
    found = next(filter(None, map(shutil.which, INSTALLED)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*QUIET])
        yield browser
        browser.close()


@dataclass(frozen=True, slots=True)
class Looking:
    """Somebody who looks at the page.

    Attributes:
        page: what the browser shows.
        url: of the page.
        complaints: what the browser's console says that is no mere information.

    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def go(self, way: str = "") -> None:
        """Go to an address of the page, and wait until it is shown."""
        self.page.goto(f"{self.url}#/{way}")
        self.settle()

    def settle(self) -> None:
        """Wait until what is shown is what the address asks for."""
        address = json.dumps(f"#{self.page.url.partition('#')[2]}")
        self.page.locator(f"main[data-at={address}]:not([aria-busy])").wait_for()

    def heading(self) -> str:
        """Give what the view says first."""
        return self.page.locator("main h1").inner_text()

    def focused(self) -> str:
        """Give the name of the row that the cursor is on."""
        name: str = self.page.evaluate("document.activeElement?.dataset?.row ?? ''")
        return name

    def violations(self) -> list[str]:
        """Give what axe finds."""
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]

    def is_too_wide(self) -> bool:
        """Tell whether one must scroll sideways."""
        is_so: bool = self.page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return is_so


@contextmanager
def looking(
    browser: Browser,
    url: str,
    *,
    size: ViewportSize = WIDE,
    colours: Literal["light", "dark"] = "light",
) -> Iterator[Looking]:
    """Look at a page with a browser that knows nothing of it yet."""
    context = browser.new_context(
        viewport=size, color_scheme=colours, reduced_motion="reduce", locale="en-GB"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    looks = Looking(page, url)

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            looks.complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: looks.complaints.append(str(error)))
    yield looks
    context.close()
