"""Makes the pictures of the page that README and docs show: `make screenshots`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.browser import NARROW, a_browser, looking
from tests.support.page_site import Answers, FakeWatch, page_site

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

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


def main() -> None:
    """Take all of them, and those of Changes in the dark and on a small screen, too."""
    IMAGES.mkdir(exist_ok=True)
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
