"""All that the page can do is done without a pointer, and focus is where one left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.browser import Looking
    from tests.support.page_site import Answers

pytestmark = pytest.mark.browser


def test_each_view_is_two_keys_away_and_puts_focus_on_its_heading(look: Looking) -> None:
    look.go()
    for key, view in {"e": "errors", "s": "search", "m": "map", "n": "now", "c": "changes"}.items():
        look.page.keyboard.press("g")
        look.page.keyboard.press(key)
        look.page.wait_for_url(f"**/#/{view}")
        look.page.locator("h1:focus").wait_for()


def test_rows_are_walked_opened_and_closed(look: Looking) -> None:
    look.go()
    look.page.keyboard.press("j")
    first = look.focused()
    look.page.keyboard.press("j")
    assert look.focused() != first
    look.page.keyboard.press("k")
    assert look.focused() == first
    look.page.keyboard.press("Enter")
    look.page.get_by_text("Before: 960 spans").wait_for()
    assert look.focused() == first
    look.page.keyboard.press("Escape")
    look.page.get_by_text("Before: 960 spans").wait_for(state="detached")
    assert look.focused() == first
    look.page.keyboard.press("f")
    look.page.wait_for_url("**/#/errors/7f3a1c09")


def test_a_question_is_asked_while_one_types_and_focus_stays_in_the_box(look: Looking) -> None:
    look.go()
    look.page.keyboard.press("/")
    look.page.keyboard.type("bank", delay=20)
    look.page.locator(".hit mark", has_text="bank").first.wait_for()
    assert look.page.evaluate("document.activeElement.id") == "q"
    look.page.keyboard.type(" g j k")
    assert look.page.locator("#q").input_value() == "bank g j k"
    look.page.keyboard.press("Enter")
    assert look.focused()
    look.page.go_back()
    look.page.wait_for_url("**/#/")


def test_groups_are_muted_resolved_and_that_is_undone(look: Looking, answers: Answers) -> None:
    look.go("errors")
    look.page.keyboard.press("j")
    assert look.focused() == "7f3a1c09"
    look.page.keyboard.press("m")
    look.page.locator("[data-row='7f3a1c09']").wait_for(state="detached")
    # Focus is at its place: on the row that has moved up.
    assert look.focused() == "2b90de51"
    look.page.keyboard.press("u")
    look.page.locator("[data-row='7f3a1c09']").wait_for()
    look.page.keyboard.press("r")
    look.page.locator("[data-row='2b90de51']").wait_for(state="detached")
    assert [told[:2] for told in answers.told] == [
        ("mute", "7f3a1c09"),
        ("reopen", "7f3a1c09"),
        ("resolve", "2b90de51"),
    ]


def test_groups_that_are_chosen_are_merged_into_the_oldest(look: Looking, answers: Answers) -> None:
    look.go("errors")
    for _ in range(2):
        look.page.keyboard.press("j")
        look.page.keyboard.press("x")
        look.page.locator(".group.chosen").last.wait_for()
    look.page.get_by_role("button", name="Merge into one").press("Enter")
    look.page.get_by_text("2 groups merged").wait_for()
    [(word, id_, said)] = answers.told
    assert (word, {id_, said["into"]}) == ("merge", {"7f3a1c09", "2b90de51"})


def test_a_note_is_written_and_kept(look: Looking, answers: Answers) -> None:
    look.go("errors/7f3a1c09")
    look.page.keyboard.press("n")
    look.page.keyboard.type("see m and r")
    look.page.keyboard.press("Enter")
    look.page.get_by_text("Note kept.").wait_for()
    assert answers.told == [("note", "7f3a1c09", {"text": "see m and r"})]
    look.page.keyboard.press("Escape")
    look.page.wait_for_url("**/#/errors")


def test_keys_are_listed_and_single_ones_can_be_turned_off(look: Looking) -> None:
    look.go()
    look.page.keyboard.press("?")
    look.page.get_by_role("dialog", name="Keys").wait_for()
    assert look.violations() == []
    look.page.get_by_role("checkbox").uncheck()
    look.page.keyboard.press("Escape")
    look.page.keyboard.press("t")
    assert look.page.evaluate("document.documentElement.dataset.theme") is None


def test_colours_are_chosen_and_kept(look: Looking) -> None:
    look.go()
    look.page.keyboard.press("t")
    assert look.page.evaluate("document.documentElement.dataset.theme") == "dark"
    look.page.reload()
    look.settle()
    assert look.page.evaluate("document.documentElement.dataset.theme") == "dark"
