"""What comes while one looks: it is told, and moves nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otel_embedder.credentials.tokens import FixedTokens
from tests.support import page_answers
from tests.support.browser import looking
from tests.support.made_up import Seen
from tests.support.page_site import page_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.browser import Looking
    from tests.support.page_site import Answers, PageSite

pytestmark = pytest.mark.browser


def a_new_text(words: str = "a text that nobody knew") -> Seen:
    return Seen(words, service="payment", at=int(time.time()), number=777_001)


def test_a_new_group_waits_above_the_list_until_it_is_asked_for(
    look: Looking, site: PageSite, answers: Answers
) -> None:
    look.go("errors")
    look.page.locator(".pip", has_text="2 new").wait_for()
    late = page_answers.a_group("99999999", "disk is full", state="new", service="cart")
    answers.groups.append(late)
    site.see(a_new_text())
    look.page.locator(".arrived").wait_for()
    assert look.page.locator("[data-row='99999999']").count() == 0
    look.page.locator(".pip", has_text="3 new").wait_for()
    look.page.keyboard.press(".")
    assert look.focused() == "99999999"


def test_a_new_text_comes_onto_the_map_and_no_other_moves(look: Looking, site: PageSite) -> None:
    look.go("map")
    look.page.get_by_text("42 texts, those seen last.").wait_for()
    site.see(a_new_text())
    look.page.get_by_text("43 texts, those seen last.").wait_for()
    look.page.get_by_role("button", name="a text that nobody knew").wait_for()


def test_what_came_while_it_was_paused_comes_with_what_comes_next(
    look: Looking, site: PageSite
) -> None:
    look.go("map")
    look.page.get_by_text("42 texts, those seen last.").wait_for()
    look.page.keyboard.press("p")
    site.see(a_new_text())
    look.page.keyboard.press("p")
    site.see(a_new_text("and one more"))
    look.page.get_by_text("44 texts, those seen last.").wait_for()


def test_the_page_stays_while_the_server_is_away_and_goes_on_when_it_is_back(
    look: Looking, site: PageSite
) -> None:
    look.go("search?q=bank")
    site.stop()
    look.page.get_by_text("The server does not answer.").wait_for()
    assert look.page.locator(".hit").count() > 0
    look.page.locator("#live", has_text="Away").wait_for()
    site.start()
    look.page.locator(".away").wait_for(state="detached")
    look.page.locator("#live", has_text="Live").wait_for()
    look.go("errors")
    assert look.heading() == "1 new kind of failure, 1 came back."


def test_reload_and_back_lead_to_what_was_seen(look: Looking) -> None:
    look.go("search?q=bank&service=payment")
    look.page.reload()
    look.settle()
    assert look.heading() == "bank"
    assert look.page.locator("#q").input_value() == "bank"
    assert look.page.get_by_role("checkbox", name="payment").is_checked()
    look.go("errors?state=muted")
    assert look.page.locator("[data-row]").all_inner_texts() == ["health check failed"]
    look.page.go_back()
    expect(look.page.locator("h1")).to_have_text("bank")


def test_an_empty_catalogue_says_what_to_do_and_goes_on_by_itself(browser: Browser) -> None:
    with page_site([]) as site, looking(browser, site.url) as look:
        look.go()
        look.page.get_by_text("No span has come yet.").wait_for()
        assert look.violations() == []
        site.see(a_new_text())
        look.page.get_by_text("No change found.").wait_for()


def test_texts_of_another_version_are_told_of_with_the_remedy(browser: Browser) -> None:
    old = Seen("words of before", text_version="template-3")
    with page_site([old]) as site, looking(browser, site.url) as look:
        look.go()
        look.page.get_by_text("All 1 texts are of another version.").wait_for()
        assert "reembed --catalogue" in look.page.locator(".steps code").inner_text()
        assert look.violations() == []


def test_a_token_is_asked_for_once(browser: Browser) -> None:
    tokens = FixedTokens([b"a-token-of-32-letters-or-so-12345"])
    with page_site(tokens=tokens) as site, looking(browser, site.url) as look:
        look.go("search?q=bank")
        assert look.heading() == "A token is asked for here."
        assert look.violations() == []
        look.page.get_by_label("Token").fill("wrong")
        look.page.keyboard.press("Enter")
        look.page.get_by_text("not good here").wait_for()
        look.page.get_by_label("Token").fill("a-token-of-32-letters-or-so-12345")
        look.page.keyboard.press("Enter")
        look.page.locator(".hit").first.wait_for()
        assert look.page.evaluate("document.cookie") == ""
