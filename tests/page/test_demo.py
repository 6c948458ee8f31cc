"""What `make demo-page` promises: who looks sees the incident as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import PATIENCE, looking
from tests.support.demo_page import demo_page

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(400)]

# Seconds in which the page is opened, before anything breaks.
CALM = 5.0


def test_an_incident_names_itself_while_one_looks(browser: Browser, model_cache: Path) -> None:
    environment = {"OTEL_EMBEDDER_MODEL_CACHE": str(model_cache)}
    with (
        demo_page(begins_after=CALM, environment=environment) as url,
        looking(browser, url) as look,
    ):
        look.go()
        first = look.page.locator(".change:not(.unsure) h3").first
        expect(first).to_contain_text("charge card", timeout=4 * PATIENCE)
        expect(look.page.locator(".change:not(.unsure)").first).to_contain_text("fails")

        # From what changed to why it fails.
        look.page.get_by_role("link", name="Its failures").first.click()
        expect(look.page.locator("h1")).to_contain_text("northbank did not answer")

        look.go("errors")
        new = look.page.locator(".group.new")
        expect(new).to_have_count(1, timeout=4 * PATIENCE)
        expect(new).to_contain_text("northbank did not answer")
        expect(look.page.locator(".pip")).to_have_text("1 new")
        assert look.page.locator(".group.ongoing").count() == 3
        assert look.complaints == []
