from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.otlp.words import ELLIPSIS, fit


def test_what_is_short_and_printable_stays_as_it_is() -> None:
    assert fit("zu groß: 東京 🗼") == "zu groß: 東京 🗼"
    assert fit("zu groß".encode()) == "zu groß"


@given(st.text(st.characters()) | st.binary(max_size=200), st.integers(len(ELLIPSIS), 300))
def test_whatever_is_said_is_one_printable_line_of_so_many_bytes(
    said: str | bytes, max_bytes: int
) -> None:
    words = fit(said, max_bytes)

    assert words.isprintable()
    assert len(words.encode()) <= max_bytes


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_of_what_is_too_long_the_beginning_is_left(said: str) -> None:
    words = fit(said, 20)

    assert said.startswith(words.removesuffix(ELLIPSIS))
    assert (words == said) is (len(said.encode()) <= 20)
