"""One browser for all of the page's tests of a process, and a page of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import a_browser, looking
from tests.support.page_site import Answers, FakeWatch, page_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.support.browser import Looking
    from tests.support.page_site import PageSite


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with a_browser() as found:
        yield found


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def site(answers: Answers) -> Iterator[PageSite]:
    with page_site(answers=answers, watch=FakeWatch()) as served:
        yield served


@pytest.fixture
def look(browser: Browser, site: PageSite) -> Iterator[Looking]:
    with looking(browser, site.url) as looks:
        yield looks
