"""An id may stand for another only where no text could tell."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_embedder.proto import otlp_wire_pb2 as pb
from otel_embedder.text.hiding import commands, looks, operands, secrets
from otel_embedder.text.marks import Marked
from otel_embedder.text.masking import generated, masks, statements, times
from otel_embedder.text.options import DEFAULT_SECRET_KEYS, RenderOptions
from otel_embedder.text.patterns import LATE
from otel_embedder.text.rendering import new_renderer
from otel_embedder.text.stand_ins import MAX_BYTES, with_stand_ins
from otel_embedder.text.wording import queries, words
from tests.support.masked_values import VALUES
from tests.support.otlp_samples import Value, event, span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_embedder.text.rendering import TextRenderer

ROOMS = (commands, looks, operands, secrets, generated, masks, statements, times, queries, words)
PATTERNS: list[re.Pattern[str]] = [
    *(each for room in ROOMS for each in vars(room).values() if isinstance(each, re.Pattern)),
    *(each.pattern for room in ROOMS for each in vars(room).values() if isinstance(each, Marked)),
    *(late() for late in LATE),
]
KEYS = ("app.note", "url.full", "http.target", "db.query.text", "db.statement", "cache.key", "user")
OPTIONS = {
    "words": RenderOptions(),
    "template": RenderOptions(profile="template"),
    "words, no looks": RenderOptions(mask_secrets=False),
    "template, no looks": RenderOptions(profile="template", mask_secrets=False),
}
USUAL = OPTIONS["words"]
# The same choice in other words, of which nothing is known.
TWICE = (*DEFAULT_SECRET_KEYS, DEFAULT_SECRET_KEYS[0])

ID, OTHER_ID = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
IDS_OF_ALL = (ID, OTHER_ID, "5a3e6f1b-8c2d-4b7a-9e0f-1d2c3b4a5f60")


@cache
def renderer_of(name: str, *, has_stand_ins: bool = True) -> TextRenderer:
    """Give one that has been in use, with ids that stand for others or without."""
    options = OPTIONS[name]
    if has_stand_ins:
        return new_renderer(options)
    return new_renderer(
        RenderOptions(profile=options.profile, mask_secrets=options.mask_secrets, secret_keys=TWICE)
    )


def content(renderer: TextRenderer, key: str, value: Value) -> str:
    return renderer.render(span("pay", {key: value}).SerializeToString(), "cart").content


def are_at_hand(
    values: Iterable[Value], key: str = "app.note", options: RenderOptions = USUAL
) -> bool:
    """Tell whether the last of some values is known when the others were read."""
    renderer = new_renderer(options)
    *before, last = (span("pay", {key: value}).SerializeToString() for value in values)
    for each in before:
        renderer.render(each, "cart")
    return renderer.at_hand([last], "cart") != [None]


def with_ids(value: str) -> list[str]:
    """Give a value with one id, with another and with a third."""
    return [value.replace("{id}", id_) for id_ in IDS_OF_ALL]


def hex_digits(size: int) -> st.SearchStrategy[str]:
    """Give hex digits, rather often of the kinds that could be told apart."""
    return st.one_of(
        st.text("0123456789abcdef", min_size=size, max_size=size),
        st.text("0123456789", min_size=size, max_size=size),
        st.text("0123456789e", min_size=size, max_size=size),
        st.sampled_from(("4111", "2026", "fade")).map(lambda word: word.ljust(size, "1")),
        st.sampled_from(("2fa", "5432", "dead")).map(lambda word: word.rjust(size, "1")),
    )


IDS = st.tuples(*map(hex_digits, (8, 4, 4, 4, 12))).map("-".join)
NUMBERS = st.integers(0, 10**12).map(str) | st.sampled_from(("2026", "404", "11", "4111"))
CONTEXT = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(PATTERNS).flatmap(st.from_regex),
    st.sampled_from(DEFAULT_SECRET_KEYS).map(lambda key: key.strip("*$").replace(".", "_")),
    st.text("x1/ -'\"=,:", max_size=70),
)
BEFORE_ID = st.sampled_from(("", " ", "/", "=", "'", '"', "(", ",", "[", ", ", "='", ": ", '="'))
BEHIND_ID = st.sampled_from(("", " ", "/", "&", "'", '"', ",", ")", ";", "}", "?", "#", "')", '",'))
PLACED_IDS = st.tuples(BEFORE_ID, IDS, BEHIND_ID).map("".join)
BEFORE_NUMBER = st.sampled_from(("/orders/", "x@y.io/", "Nov/", "a b/", "/"))
BEHIND_NUMBER = st.sampled_from(("", "/items", "?page=3", "#top", "/17", "."))
PLACED_NUMBERS = st.tuples(BEFORE_NUMBER, NUMBERS, BEHIND_NUMBER).map("".join)


@given(
    name=st.sampled_from([*OPTIONS]),
    key=st.sampled_from(KEYS),
    parts=st.lists(
        st.tuples(CONTEXT, PLACED_IDS | PLACED_NUMBERS, CONTEXT).map("".join),
        min_size=1,
        max_size=2,
    ),
)
@settings(max_examples=300)
def test_a_text_is_the_same_as_if_each_id_were_read(name: str, key: str, parts: list[str]) -> None:
    value = "".join(parts).encode(errors="replace").decode()

    renderer = renderer_of(name)
    stand_ins = with_stand_ins(value.encode())
    if stand_ins:
        content(renderer, key, stand_ins.decode())  # for they are looked for where they recur
    text = content(renderer, key, value)
    assert text == content(renderer_of(name, has_stand_ins=False), key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("app.note", "{id}"),
        ("app.note", "left at the door for {id}"),
        ("app.note", '{"order": "{id}", "parcels": 3}'),
        ("url.path", "/api/orders/{id}/items"),
        ("http.target", "/api/orders/{id}?page=3"),
        ("url.full", "https://shop.example.com:8443/api/v2/orders/items?user={id}&page=3"),
        ("db.query.text", "SELECT a FROM t WHERE id = '{id}' AND b IN (1, 2)"),
        ("db.statement", """SELECT "a"."b" FROM "a" WHERE "a"."id" IN ('{id}', '{id}')"""),
    ],
)
def test_with_another_id_a_value_is_known(key: str, value: str) -> None:
    assert not are_at_hand(with_ids(value)[:2], key)  # it may have come once
    assert are_at_hand(with_ids(value), key)


@pytest.mark.parametrize(
    "paths",
    [
        ("/orders/17", "/orders/18", "/orders/20"),
        ("/orders/1712345/items/18", "/orders/2026404/items/19", "/orders/9999999/items/11"),
        (f"/users/17/orders/{ID}", f"/users/18/orders/{OTHER_ID}", f"/users/20/orders/{ID}"),
        (
            "http://shop:80/orders/17?page=1",
            "http://shop:80/orders/18?page=1",
            "http://shop:80/orders/20?page=1",
        ),
    ],
)
def test_with_another_number_a_path_is_known(paths: tuple[str, ...]) -> None:
    assert not are_at_hand(paths[:2], "url.path")
    assert are_at_hand(paths, "url.path")


@pytest.mark.parametrize(
    "value",
    [
        "{id}: x",  # a key, whose value could be a secret
        "{id}' = x",
        "password-{id}",
        "local port: {id}",
        "port:  {id}",
        "laddr=('shop', {id})",
        "card 4111 1111 1111 {id}",
        "{id} 4111 1111 1111",
        "basic {id}",
        "hooks.slack.com/services/{id}",
        "Job$$Lambda/{id}",
        "reply.to." + "x" * 60 + "/{id}",
        "get cart/{id} cart/{id}",
        "Größe {id}",
        "{id}@shop.example.com",
        "x{id}",
        "{id}x",
        "10:11:12,{id}",
        "26/Nov/{id}",
        "1//{id}",
        "x" * MAX_BYTES + " {id}",
    ],
)
def test_in_other_places_an_id_is_read_itself(value: str) -> None:
    assert not are_at_hand(with_ids(value))


@pytest.mark.parametrize(
    "id_",
    [
        "12345678-d9cb-469f-a165-70867728950e",
        "abcdefab-d9cb-469f-a165-70867728950e",
        "12345e67-d9cb-469f-a165-70867728950e",
        "1234567e-1234-469f-a165-70867728950e",
        "0f8f4111-1111-1111-1111-70867728950e",
        "0F8FAD5B-D9CB-469F-A165-70867728950E",
        "0f8fad5b-d9cb-469f-a165-70867728950",
    ],
)
def test_an_id_that_could_be_of_something_else_is_read_itself(id_: str) -> None:
    assert not are_at_hand([ID, OTHER_ID, id_])


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT a FROM t WHERE id = {id}",
        "SELECT a FROM t WHERE name = 'it''s' '{id}'' or 1 = 1",
        "SELECT a FROM t -- '{id}'",
        "SELECT a FROM t WHERE id = '{id}' /* x */",
        "SELECT a FROM t WHERE b = 'x\\' OR id = '{id}'",
        "'{id}' = 'x'",
        "SELECT a FROM t WHERE path = 'orders/17'",
    ],
)
def test_in_a_statement_an_id_is_all_of_a_literal(statement: str) -> None:
    statements_ = (with_id.replace("17", str(n)) for n, with_id in enumerate(with_ids(statement)))

    assert not are_at_hand(statements_, "db.query.text")


@pytest.mark.parametrize(
    "value",
    [
        "/2026/11/{}",
        "1/{}",
        "/orders/123456789012{}",  # a card, if its digits are so
        "HTTP/{}",
        "bob@shop.example/{}",
        "/1/Nov/2026{}",
        "in orders/{}",
    ],
)
def test_a_number_in_other_places_is_read_itself(value: str) -> None:
    assert not are_at_hand(map(value.format, range(3)))


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("app.note", "bob@shop.example/17", "bob@shop.example/18"),
        ("app.note", "1/Nov/20261", "1/Nov/20262"),
        ("redis.key", f"cart/{ID}", f"cart/{ID[:8]}-1234-{ID[14:]}"),
    ],
)
def test_what_is_shown_is_told_apart(key: str, first: str, second: str) -> None:
    renderer = new_renderer(RenderOptions(profile="template"))

    assert content(renderer, key, first) != content(renderer, key, second)


@pytest.mark.parametrize(
    "values",
    [
        [[id_] for id_ in IDS_OF_ALL],
        [{"a": id_} for id_ in IDS_OF_ALL],
        [{id_: "a"} for id_ in IDS_OF_ALL],
        [id_.encode() for id_ in IDS_OF_ALL],
    ],
    ids=["array", "value", "key", "bytes"],
)
def test_only_a_string_has_ids(values: list[Value]) -> None:
    assert not are_at_hand(values)


@pytest.mark.parametrize(
    "options",
    [RenderOptions(secret_keys=TWICE), RenderOptions(secret_keys=("fade",))],
    ids=["other words", "own words"],
)
def test_with_words_of_ones_own_for_secrets_each_id_is_read(options: RenderOptions) -> None:
    assert are_at_hand(IDS_OF_ALL)
    assert not are_at_hand(IDS_OF_ALL, options=options)


@pytest.mark.parametrize(
    "profile",
    [
        "masks: false",
        f"values: [{{keys: [app.note], words: {{{ID}: the first}}}}]",
        "values: [{keys: [app.note], words: {/orders/17: the first}}]",
        f"silent: [{ID}]",
    ],
)
def test_a_profile_that_tells_ids_apart_has_each_read(profile: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(profile, encoding="utf-8")

    assert not are_at_hand(IDS_OF_ALL, options=RenderOptions(profile=str(file)))


def test_no_name_of_a_secret_could_be_of_an_id() -> None:
    """But at its end, and there no id has a place that could be a key."""
    for key in DEFAULT_SECRET_KEYS:
        assert key.endswith("$") or not re.fullmatch(r"[\da-f.*]+", key)


def test_bytes_of_a_message_are_no_part_of_an_id() -> None:
    # The string's length reads as the first digit.
    value = ID[1:] + "x" * (ord("0") - len(ID) + 1)
    encoded = pb.KeyValue(
        key=b"app.note", value=pb.AnyValue(string_value=value.encode()).SerializeToString()
    ).SerializeToString()

    assert f"0{ID[1:]}".encode() in encoded
    assert content(renderer_of("words"), "app.note", value) == content(
        renderer_of("words", has_stand_ins=False), "app.note", value
    )


@pytest.mark.parametrize("more", [b"", b"\x40\x01"], ids=["nothing", "a field of nobody's"])
def test_a_number_of_a_key_is_its_own(more: bytes) -> None:
    """However many numbers a value has, and whatever stands behind it."""
    renderer = new_renderer(RenderOptions(profile="template"))
    value = pb.AnyValue(string_value=b"/orders/1").SerializeToString() + more
    texts = set()
    for number in range(4):
        # The key last, as a Collector writes it.
        fields = pb.KeyValue(value=value), pb.KeyValue(key=b"app/%d" % number)
        pair = b"".join(field.SerializeToString() for field in fields)
        encoded = pb.Span(attributes=[pair]).SerializeToString()
        texts.add(renderer.render(encoded, "cart").content)

    assert len(texts) == 4


def test_what_is_broken_is_an_error_with_ids_as_well() -> None:
    broken = b"\x0a\x40" + ID.encode()  # it ends before its end
    encoded = pb.Span(attributes=[pb.KeyValue(value=broken).SerializeToString()])

    with pytest.raises(DecodeError):
        new_renderer(RenderOptions()).render(encoded.SerializeToString(), "cart")


@given(st.lists(st.one_of(IDS, st.text("/a1-", max_size=4)), max_size=5).map("".join))
def test_stand_ins_are_as_long_and_stand_for_themselves(text: str) -> None:
    encoded = text.encode()
    stand_ins = with_stand_ins(encoded)

    assert stand_ins is None or len(stand_ins) == len(encoded)
    assert stand_ins is None or with_stand_ins(stand_ins) == stand_ins


def test_errors_are_read_with_their_own_ids() -> None:
    """What is told of them has rules of its own."""
    renderer = new_renderer(RenderOptions())
    *before, last = (
        span(events=[event("exception", {"exception.message": message})]).SerializeToString()
        for message in with_ids("no order {id}")
    )
    for each in before:
        renderer.render(each, "cart")

    assert renderer.at_hand([last], "cart") == [None]
