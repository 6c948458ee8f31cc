"""Makes the pictures of the page that README and docs show: `make screenshots`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import expect

from tests.support.browser import NARROW, PATIENCE, a_browser, looking
from tests.support.demo_page import demo_page
from tests.support.page_site import Answers, FakeWatch, page_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from tests.support.browser import Looking

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE: ViewportSize = {"width": 1280, "height": 800}
VIEWS = {
    "changes": "",
    "errors": "errors",
    "group": "errors/7f3a1c09",
    "search": "search?q=the+bank+does+not+answer+in+time",
    "map": "map?by=service",
    "now": "now",
}


def take(look: Looking, name: str, way: str) -> None:
    """Take a picture of a view."""
    look.go(way)
    look.page.evaluate("document.fonts.ready")
    look.page.wait_for_load_state("networkidle" if way == "now" else "load")
    look.page.screenshot(path=IMAGES / f"page-{name}.png")


def take_demo(browser: Browser, url: str, colours: Literal["light", "dark"], ending: str) -> None:
    """Take pictures of what `make demo-page` shows once something broke."""
    with looking(browser, url, size=SIZE, colours=colours) as look:
        look.go()
        change = look.page.locator(".change:not(.unsure)").first
        expect(change).to_contain_text("charge card", timeout=4 * PATIENCE)
        # One that is surer is easier to see.
        expect(look.page.locator("main h1")).to_contain_text("p95", timeout=4 * PATIENCE)
        look.page.screenshot(path=IMAGES / f"page-incident{ending}.png")
        take(look, f"incident-errors{ending}", "errors")


def main() -> None:
    """Take all of them, and those of Changes in the dark and on a small screen, too."""
    IMAGES.mkdir(exist_ok=True)
    with demo_page(begins_after=0.0, environment={}) as url, a_browser() as browser:
        take_demo(browser, url, "light", "")
        take_demo(browser, url, "dark", "-dark")
    with page_site(answers=Answers(), watch=FakeWatch()) as site, a_browser() as browser:
        with looking(browser, site.url, size=SIZE) as look:
            for name, way in VIEWS.items():
                take(look, name, way)
        with looking(browser, site.url, size=SIZE, colours="dark") as look:
            take(look, "changes-dark", "")
        with looking(browser, site.url, size=NARROW, colours="dark") as look:
            take(look, "changes-narrow", "")


if __name__ == "__main__":
    main()
