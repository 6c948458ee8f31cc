"""What of the demo needs its page."""

from __future__ import annotations

import pytest

from otel_embedder.cli import EXIT_USAGE, run


@pytest.mark.parametrize(
    "option",
    [
        ("--incident", "mailer"),
        ("--begins-after", "3"),
        ("--http-listen", "127.0.0.1:0"),
        ("--trace-link", "https://traces.example/{trace_id}"),
    ],
)
def test_what_is_of_the_page_is_refused_without_one(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", *option]) == EXIT_USAGE

    said = capsys.readouterr().err
    assert f"{option[0]} is of the page; say --page, too" in said
