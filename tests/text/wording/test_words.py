from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.text.masking.masks import mask
from otel_embedder.text.wording.keys import key_words
from otel_embedder.text.wording.words import (
    MAX_WORD_CHARACTERS,
    parted,
    with_codes,
    without_origin,
    without_packages,
    words,
)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("GetProduct", "get product"),
        ("HTTPServer", "http server"),
        ("order_items", "order items"),
        ("hipstershop.CartService/AddItem", "hipstershop cart service add item"),
        ("GET /api/v1/users", "get api v1 users"),
        ("Zażółć gęślą", "zażółć gęślą"),
        ("支払い 失敗", "支払い 失敗"),
        ("95% full", "full"),
        ("12 of 30 rows, 4.5 s", "of rows s"),
        ("retry 3x of 2xx", "retry x of xx"),
        ("s3 h2 p99 v2", "s3 h2 p99 v2"),
        ("checkout2service99", ""),
        ("7K3mP9xQ2", ""),
        ("mail of ann@example.com", "mail of"),
        ("pod shop-6d5f9c7b8d-x2x9z is gone", "pod shop is gone"),
        ("<secret> was wrong", "was wrong"),
        ("<16 bytes>", ""),
        ("-- / : ()", ""),
    ],
)
def test_what_is_left_of_a_value(value: str, found: str) -> None:
    assert " ".join(words(value, mask)) == found


def test_without_masks_what_looks_like_an_id_still_goes() -> None:
    assert words("user 1234567 A1b2C3d4", str) == ["user"]


def test_a_word_without_end_is_cut() -> None:
    assert words("a" * 1_000, mask) == ["a" * MAX_WORD_CHARACTERS]


@pytest.mark.parametrize(
    ("key", "seen"),
    [
        ("http.status-code", "http.status_code"),
        ("orderId", "order_id"),
        ("HTTPStatusCode", "http_status_code"),
        ("App.Feature", "app.feature"),
    ],
)
def test_keys_are_compared_however_they_are_spelt(key: str, seen: str) -> None:
    assert key_words(key) == seen


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ("com.shop.cart.EmptyCart was thrown", "EmptyCart was thrown"),
        ("shop.EmptyCart", "shop.EmptyCart"),
        ("a.b.C$Inner: no", "C$Inner: no"),
        ("see docs.example.com", "see docs.example.com"),
    ],
)
def test_classes_lose_their_packages(value: str, short: str) -> None:
    assert without_packages(value) == short


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://shop.example.com:8443/api/cart?full=yes", "/api/cart?full=yes"),
        ("/api/cart", "/api/cart"),
        ("shop:8080/api/cart", "/api/cart"),
        ("https://shop.example.com", ""),
    ],
)
def test_urls_lose_their_hosts(url: str, path: str) -> None:
    assert without_origin(url) == path


def test_codes_in_error_text_get_their_words() -> None:
    named = {"404": "404 not found"}

    assert with_codes("returned status code 404", named) == "returned status code 404 not found"
    assert with_codes("returned 599", named) == "returned 599"
    assert with_codes("waited 404 ms", named) == "waited 404 ms"


@given(st.text("abXYZ09_.-é \n"))
def test_names_are_parted_where_a_capital_follows_a_small_letter_or_begins_a_word(
    value: str,
) -> None:
    between = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "|", value)

    assert parted(value, "|") == between


@given(st.text("abXY09_.$é "))
def test_packages_are_those_of_two_parts_and_more(value: str) -> None:
    short = re.sub(r"(?<![\w.$])(?:[a-z_]\w*\.){2,}([A-Z][\w$]*)", r"\1", value)

    assert without_packages(value) == short


@given(st.text(st.characters(max_codepoint=127)))
def test_texts_of_ascii_have_the_words_that_they_have_beside_others(value: str) -> None:
    assert words(f"{value} é", str) == [*words(value, str), "é"]


def test_words_are_words() -> None:
    for word in words("Order #12: GetCart() -> {a: 'b'} | x=y; z%", mask):
        assert re.fullmatch(r"[\w%]+", word)
