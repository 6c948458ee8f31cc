from __future__ import annotations

import pytest

from otel_embedder.search.groups.normal_form import MAX_CHARACTERS, normal_form


@pytest.mark.parametrize(
    ("words", "form"),
    [
        ("took 1234 ms", "took # ms"),
        ("connect ECONNREFUSED 10.0.0.7:7070", "connect ECONNREFUSED #.#.#.#:7070"),
        ("dial tcp cart:9555: refused", "dial tcp cart:9555: refused"),
        ("from cart:45678 to [::1]:443", "from cart:# to [::#]:443"),
        ("status code 503 after 3 tries", "status code 503 after # tries"),
        ("HTTP 500", "HTTP 500"),
        ("HTTP/1.1 404 in 3 ms", "HTTP/1.1 404 in # ms"),
        ("errno=111, exit status: 137", "errno=111, exit status: 137"),
        ("sqlstate[23505]", "sqlstate[23505]"),
        ("barcode 12", "barcode #"),
        ("node7 of 9", "node# of #"),
        ("two  blanks\tand\nlines", "two blanks and lines"),
        ("", ""),
    ],
)
def test_numbers_go_but_for_those_that_tell_the_error(words: str, form: str) -> None:
    assert normal_form(words) == form


def test_no_more_than_so_much_is_read() -> None:
    assert len(normal_form("x" * 10_000)) == MAX_CHARACTERS
