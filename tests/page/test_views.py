from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from tests.support.browser import NARROW, WIDE, looking
from tests.support.page_site import page_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from tests.support.browser import Looking
    from tests.support.page_site import Answers, PageSite

pytestmark = pytest.mark.browser

VIEWS = {
    "": "payment → bank answers in 306 ms instead of 41 ms, and 10 % of its calls fail.",
    "changes?row=payment|POST+/v1/charges|CLIENT": "payment → bank answers in 306 ms",
    "errors": "1 new kind of failure, 1 came back.",
    "errors/7f3a1c09": "failed: bank timed out",
    "errors/ffffffff": "No group ffffffff",
    "search": "Ask in plain words.",
    "search?q=bank+timeout": "bank timeout",
    "map?by=service": "What reads alike lies together.",
    "now": "The next hop is slow to answer.",
}
LOOKS: list[tuple[Literal["light", "dark"], ViewportSize]] = [
    ("light", WIDE),
    ("dark", WIDE),
    ("light", NARROW),
    ("dark", NARROW),
]


@pytest.mark.parametrize(("colours", "size"), LOOKS)
def test_each_view_answers_and_can_be_read_by_everybody(
    browser: Browser, site: PageSite, colours: Literal["light", "dark"], size: ViewportSize
) -> None:
    with looking(browser, site.url, size=size, colours=colours) as look:
        for way, heading in VIEWS.items():
            look.go(way)
            assert heading in look.heading().replace("\n", " "), way
            assert look.violations() == [], way
            assert not look.is_too_wide(), way

        # The browser itself tells of the group that is not there.
        assert [each for each in look.complaints if "404" not in each] == []


def test_the_title_of_the_tab_follows_the_answer(look: Looking) -> None:
    look.go("search?q=bank+timeout")
    assert look.page.title() == "Search: bank timeout · otel-embedder"
    look.go("errors/7f3a1c09")
    assert look.page.title().startswith("charge … failed: bank timed out")


def test_each_view_tells_the_command_that_answers_the_same(look: Looking) -> None:
    commands = {
        "": "otel-embedder changes --window 15m --against 1h",
        "errors?state=new": "otel-embedder groups --since 1d --state new",
        "errors/7f3a1c09": "otel-embedder groups show 7f3a1c09",
        "search?q=it%27s&service=cart": r"otel-embedder search 'it'\''s' --service cart",
        "now": "otel-embedder health",
    }
    for way, command in commands.items():
        look.go(way)
        assert look.page.locator("#command code").inner_text() == command


def test_a_change_opens_in_place_and_leads_to_its_failures_and_traces(look: Looking) -> None:
    look.go()
    look.page.get_by_role("button", name="payment POST /v1/charges").click()
    look.page.get_by_text("Before: 960 spans").wait_for()
    link = look.page.locator(".more a.trace").first
    assert link.get_attribute("href") == f"https://traces.example/{21:08x}{21:024x}"
    assert link.get_attribute("rel") == "noreferrer"
    look.page.get_by_role("link", name="Its failures").click()
    look.page.wait_for_url("**/#/errors/7f3a1c09")


def test_a_moved_window_is_in_the_address_and_asked_for(look: Looking) -> None:
    look.go()
    window = look.page.get_by_role("slider", name="Window from")
    window.focus()
    with look.page.expect_request("**/changes?window=*%2F*"):
        window.press("ArrowRight")
    assert "window=20" in look.page.url
    look.page.get_by_text("pinned: back to live").click()
    assert look.page.url.endswith("#/changes")


def test_what_did_not_change_is_told_with_how_large_it_would_have_been(
    look: Looking, answers: Answers
) -> None:
    answers.changes["certain"] = []
    look.go()
    assert look.heading() == "No change found."
    assert "4 % would have had to fail" in look.page.locator(".why").inner_text()


def test_filters_narrow_the_hits_and_are_steps_of_the_back_button(look: Looking) -> None:
    look.go("search?q=bank")
    look.page.get_by_role("checkbox", name="payment").check()
    look.page.wait_for_url("**service=payment")
    services = look.page.locator(".hit .who b")
    expect(look.page.locator(".hit")).to_have_count(12)
    assert {*services.all_inner_texts()} == {"payment"}
    look.page.go_back()
    expect(look.page.locator(".hit")).to_have_count(25)
    assert not look.page.get_by_role("checkbox", name="payment").is_checked()


def test_words_that_matched_are_marked_and_what_is_alike_is_dimmed(look: Looking) -> None:
    look.go("search?q=timeouts+of+invoices")
    assert {"timeout", "invoices"} <= {*look.page.locator("mark").all_inner_texts()}
    look.page.locator(".hit h3 a").first.click()
    look.page.wait_for_url("**like=**")
    look.page.locator(".hit .same").first.wait_for()


def test_a_trace_s_id_and_a_stack_trace_are_understood(look: Looking) -> None:
    look.go(f"search?q={1001:032x}")
    assert "Read as a trace id" in look.page.locator(".why").inner_text()
    assert look.page.locator(".hit").count() > 0
    look.go(f"search?q={'f' * 32}")
    assert "among its examples" in look.page.locator("#answered").inner_text()
    look.go("search?q=TimeoutError:+the+bank")
    assert "Read as a stack trace" in look.page.locator(".why").inner_text()


def test_a_point_of_the_map_is_read_and_followed(look: Looking) -> None:
    look.go("map")
    canvas = look.page.locator("canvas")
    canvas.focus()
    canvas.press("ArrowRight")
    look.page.locator("#card code", has_text=" ").wait_for()
    canvas.press("Enter")
    look.page.wait_for_url("**/#/search?like=**")


def test_an_area_that_is_drawn_on_the_map_is_listed(look: Looking) -> None:
    look.go("map")
    box = look.page.locator("canvas").bounding_box()
    assert box is not None
    look.page.mouse.move(box["x"] + 2, box["y"] + 2)
    look.page.mouse.down()
    look.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    look.page.mouse.up()
    assert look.page.locator("#h-area").inner_text() == "42 texts in the area"
    look.page.keyboard.press("Escape")
    assert look.page.locator("#h-area").inner_text() == "New in the last 15 minutes: 7"


def test_the_page_weighs_little_and_asks_nobody_else(browser: Browser, site: PageSite) -> None:
    with looking(browser, site.url) as look:
        hosts = set()
        sizes = []

        def count(path: str, size: int) -> None:
            if "/api/" not in path:
                sizes.append(size)

        look.page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        look.page.on(
            "requestfinished",
            lambda request: count(request.url, request.sizes()["responseBodySize"]),
        )
        for way in VIEWS:
            look.go(way)

        assert hosts == {site.url.split("/")[2]}
        assert 20_000 < sum(sizes) < 200_000


def test_what_a_catalogue_itself_knows_of_groups_and_changes_is_shown(browser: Browser) -> None:
    with page_site() as site, looking(browser, site.url) as look:
        look.go()
        assert look.page.locator(".why").count() == 1
        look.go("errors")
        assert look.heading() == "No new failure."
        look.go("errors/ffffffff")
        assert look.heading() == "No group ffffffff"
        assert [each for each in look.complaints if "404" not in each] == []
