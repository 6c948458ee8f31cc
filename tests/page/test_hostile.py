"""What spans say is anybody's: it is shown as text, whatever it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support import page_answers
from tests.support.browser import looking
from tests.support.made_up import Seen
from tests.support.page_site import Answers, page_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.support.browser import Looking
    from tests.support.page_answers import Json

pytestmark = pytest.mark.browser

MARKUP = (
    "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    "</code></h3><svg/onload=alert(1)>'\"`${document.title='run'}&lt;b&gt;"
)
CONTROLS = "bell\x07 escape\x1b[31m null\x00 line\u2028 c1\x9b"
TURNED = "refund \u202e000,1\u202c \u2066left\u2069 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d"
LONG = "x" * 1_000_000
WIDE = "\U0001f4b3" * 300 + "\ufb03" + "e\u0301" * 300
HOSTILE = {"markup": MARKUP, "controls": CONTROLS, "turned": TURNED, "long": LONG, "wide": WIDE}
VIEWS = ("", "changes?row=a", "errors", "errors/bad", "search?q=bank", "map", "now")


def hostile_answers(text: str) -> Answers:
    group = page_answers.a_group(
        "bad",
        text,
        state="new",
        service=text,
        type=text,
        reached=[text],
        operations=[text],
        note=text,
        merged=[text],
        related=[{"id": text, "title": text, "service": text, "cosine": 0.5}],
        examples=[{**page_answers.an_example(1, 5), "link": "javascript:document.title='run'"}],
    )
    operation = page_answers.an_operation(text, text, text, text)
    reason = page_answers.a_reason("new", 0, 0.1, 9.0, text)
    change: Json = {
        **page_answers.a_change(operation, [reason], group=text),
        "text": text,
        "reads_like": [{"cosine": 0.5, "service": text, "operation": text, "text": text}],
    }
    changes = page_answers.changes_answer([change])
    changes["faster"] = [{"operation": operation, "before": 2.0, "after": 1.0, "z": 5.0}]
    return Answers([group], changes)


@pytest.fixture(params=[*HOSTILE])
def look(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Looking]:
    text = HOSTILE[request.param]
    seen = Seen(text, service=text, operation=text, status="ERROR", at=int(time.time()))
    other = Seen("a bank", service="cart", number=9, at=int(time.time()))
    with (
        page_site([seen, other], answers=hostile_answers(text)) as site,
        looking(browser, site.url) as looks,
    ):
        yield looks


def test_nothing_of_a_span_becomes_markup_or_breaks_the_page(look: Looking) -> None:
    for way in VIEWS:
        look.go(way)
        page = look.page
        assert page.locator("main :is(img, script, [onerror], [onload])").count() == 0, way
        assert page.locator("a[href^='javascript:']").count() == 0, way
        assert "run" not in page.title().split(" · ")[-1]
        assert not look.is_too_wide(), way
        shown: str = page.evaluate("document.querySelector('main').textContent")
        assert len(shown) < 200_000, way
        assert not {*"\x00\x07\x1b\x9b\u202e\u2066"} & {*shown}, way
        assert page.title().endswith("otel-embedder")
    assert look.complaints == []
