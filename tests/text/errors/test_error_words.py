from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.text.errors.error_words import ErrorWords
from otel_embedder.text.options import TEMPLATE, RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.otlp_samples import event, span

ERROR = Status.STATUS_CODE_ERROR
PROFILES = [None, TEMPLATE]


def failed(message: str = "", *events: Span.Event) -> Span:
    return span("POST /cart", code=ERROR, message=message, events=events)


def exception(kind: str, message: str) -> Span.Event:
    return event("exception", {"exception.type": kind, "exception.message": message})


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("made", "read"),
    [
        (failed(), ("", "")),
        (failed("no card"), ("", "no card")),
        # What the exception says is often said by the status, too, with its class before it.
        (
            failed("CardError: no card", exception("bank.CardError", "no card")),
            ("bank.CardError", "CardError: no card"),
        ),
        (failed("pay failed", exception("a.NoCard", "gone")), ("a.NoCard", "pay failed gone")),
        # Ports and codes stay; ids and secrets go.
        (
            failed("connect to 10.0.0.7:7070: errno 111, password=hunter2"),
            ("", "connect to <ip>:7070: errno 111, password=<secret>"),
        ),
    ],
)
def test_words_are_told_once_and_in_their_order(
    made: Span, read: tuple[str, str], profile: str | None
) -> None:
    renderer = new_renderer(RenderOptions(profile=profile))

    assert renderer.error_words(made.SerializeToString()) == ErrorWords(*read)


def test_causes_are_told_with_their_classes() -> None:
    frame = "\n\tat a.Pay.go(Pay.java:1)\n"
    trace = f"a.Outer: could not pay{frame}Caused by: b.Inner: no route{frame}"
    told = event("exception", {"exception.type": "a.Outer", "exception.stacktrace": trace})

    words = new_renderer(RenderOptions()).error_words(failed("", told).SerializeToString())
    assert words == ("a.Outer", "could not pay b.Inner no route")
