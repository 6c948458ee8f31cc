from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.files.json_text import GAP_BYTES, Piece, pieces_of

ONE = b'{"resourceSpans":[{"a":"} \\" ]"}]}'
TWO = json.dumps({"resourceSpans": [{"b": [1, "é{"]}]}, ensure_ascii=False, indent=1).encode()
MARK = b"\xef\xbb\xbf"


def pieces(text: bytes, size: int = 2**20) -> list[Piece]:
    return [*pieces_of(text[start : start + size] for start in range(0, len(text), size))]


def requests(text: bytes, size: int = 2**20) -> list[bytes]:
    return [piece.content for piece in pieces(text, size) if piece.content]


def joined(found: list[Piece]) -> bytes:
    return b"".join(piece.before + piece.content + piece.after for piece in found)


FORMS = {
    "lines": (ONE + b"\n" + ONE + b"\n", [ONE, ONE]),
    "no line feed at the end": (ONE, [ONE]),
    "carriage returns": (ONE + b"\r\n" + ONE + b"\r\n", [ONE, ONE]),
    "empty lines": (b"\n" + ONE + b"\n \t\n" + ONE + b"\n\n", [ONE, ONE]),
    "over several lines": (TWO + b"\n" + TWO, [TWO, TWO]),
    "straight behind each other": (TWO + ONE + TWO, [TWO, ONE, TWO]),
    "on one line": (ONE + b" " + ONE, [ONE, ONE]),
    "a list": (b"[" + ONE + b", " + TWO + b"]", [ONE, TWO]),
    "a list over several lines": (b"[\n " + ONE + b",\n " + TWO + b"\n]\n", [ONE, TWO]),
    "lists": (b"[]\n[" + ONE + b"][" + TWO + b"]" + ONE, [ONE, TWO, ONE]),
    "byte order marks": (MARK + ONE + b"\n" + MARK + ONE, [ONE, ONE]),
    "a hole": (b"\0" * 9 + ONE + b"\n\0\0\0" + ONE, [ONE, ONE]),
    "nothing but blanks": (b" \n\0", []),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("size", [1, 7, 2**20])
@pytest.mark.parametrize(("text", "expected"), FORMS.values(), ids=FORMS)
def test_requests_are_found_however_they_are_written(
    text: bytes, expected: list[bytes], size: int
) -> None:
    # Several on one line, straight before another line, are parsed together.
    assert requests(text, size) == expected


@pytest.mark.parametrize("size", [1, 7, 2**20])
@pytest.mark.parametrize(("text", "_"), FORMS.values(), ids=FORMS)
def test_the_pieces_are_the_text_again(text: bytes, _: list[bytes], size: int) -> None:
    end = b"" if text.endswith(b"\n") or not text else b"\n"

    assert joined(pieces(text, size)) == text + end


BROKEN = {
    "cut": (ONE[:-9], ONE[:-9]),
    "cut in a string": (ONE[:24], ONE[:24]),
    "cut behind a comma": (b'{"resourceSpans":[{},', b'{"resourceSpans":[{},'),
    "too many brackets": (ONE + b"}", ONE + b"}"),
    "no JSON": (b"2026-11-26 started", b"2026-11-26 started"),
    "cut in a hole": (ONE[:-3] + b"\0" * 9, ONE[:-3]),
}


@pytest.mark.parametrize(("line", "piece"), BROKEN.values(), ids=BROKEN)
def test_a_broken_line_takes_no_other_with_it(line: bytes, piece: bytes) -> None:
    assert requests(ONE + b"\n" + line + b"\n" + ONE + b"\n" + ONE + b"\n") == [
        *(ONE, piece, ONE, ONE)
    ]


def test_in_a_list_a_broken_request_takes_no_other_with_it() -> None:
    text = b"[\n" + ONE + b",\n" + ONE[:-9] + b"\n" + ONE + b"\n]\n"

    assert requests(text) == [ONE, ONE[:-9], ONE]


def test_a_line_is_told_and_where_in_it() -> None:
    text = b"\n" + ONE + b"\n" + TWO + ONE + b"\n" + ONE
    lines = TWO.count(b"\n")

    assert [piece.position for piece in pieces(text) if piece.content] == [
        *("line 2", "line 3", f"line {3 + lines}, column 2", f"line {4 + lines}")
    ]


@pytest.mark.parametrize(
    "text", [ONE[:-1], TWO[:-1], ONE + b"\n" + TWO[:-3] + b"\n", b"[", b"[" + ONE + b",\n"]
)
def test_what_ends_within_a_request_or_a_list_is_cut_off(text: bytes) -> None:
    with pytest.raises(EOFError):
        pieces(text)


def test_a_last_line_that_has_its_end_is_whole_as_a_line() -> None:
    assert requests(ONE + b"\n{\n") == [ONE, b"{"]


@pytest.mark.parametrize("filler", [b"\0", b" "])
def test_a_long_hole_is_not_held(filler: bytes) -> None:
    hole = filler * (3 * GAP_BYTES)
    found = pieces(hole + ONE + hole[:-5] + ONE + b"\n")

    assert [piece.content for piece in found if piece.content] == [ONE, ONE]
    assert max(len(piece.before) for piece in found) <= GAP_BYTES


def test_a_hole_within_a_request_is_not_held() -> None:
    found = pieces(ONE[:-3] + bytes(5 * GAP_BYTES) + ONE + b"\n", size=65_536)

    assert [piece.content for piece in found if piece.content] == [ONE[:-3], ONE]
    assert max(len(piece.before) for piece in found) <= GAP_BYTES + 65_536


@given(
    st.lists(st.sampled_from([ONE, TWO, b"{", b"}", b"[", b"]", b",", b"\n", b"\0", b'"', b"x"])),
    st.integers(1, 9),
)
def test_whatever_comes_the_pieces_are_the_text(parts: list[bytes], size: int) -> None:
    text = b"".join(parts)
    try:
        found = pieces(text, size)
    except EOFError:
        return

    assert joined(found) in {text, text + b"\n"}
