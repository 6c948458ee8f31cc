from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_embedder.text.masking.masks import mask
from tests.support.cpu import cpu_seconds


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("mail to Ann.Lee+x@mail.example.com!", "mail to <email>!"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "<uuid>"),
        ("order 0F8FAD5B-D9CB-469F-A165-70867728950E lost", "order <uuid> lost"),
        ("2024-05-01", "<time>"),
        ("2024-05-01T10:20:30Z", "<time>"),
        ("at 2024-05-01 10:20:30.123456 it failed", "at <time> it failed"),
        ("2024-05-01T10:20:30,5+02:00", "<time>"),
        ("10:20:30.5", "<time>"),
        ("dial tcp 10.0.0.1: refused", "dial tcp <ip>: refused"),
        ("192.168.1.254", "<ip>"),
        ("fe80::1ff:fe23:4567:890a", "<ip>"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "<ip>"),
        ("::ffff:10.0.0.1", "<ip>"),
        ("http://shop/orders/4711/lines", "http://shop/orders/<id>/lines"),
        ("checkout-7d4b9c6f5d-x2x9z", "checkout-<id>"),
        ("trace 4bf92f3577b34da6a3ce929d0e0e4736", "trace <id>"),
        ("key 01ARZ3NDEKTSV4RRFFQ69G5FAV", "key <id>"),
        ("key AKIA123456", "key <id>"),
        ("call_mszuSIzqtI65i1wA", "call_<id>"),
        ("lsv2_pt_4bf92f3577b34da6_1a2b", "lsv2_pt_<id>_1a2b"),
        ("commit 1a2b3c4d", "commit <hex>"),
        ("at 0x7ffee4c0", "at <hex>"),
        ("customer 4711471", "customer <number>"),
        ("-1234567", "-<number>"),
    ],
)
def test_what_changes_from_span_to_span_is_masked(value: str, masked: str) -> None:
    assert mask(value) == masked


@pytest.mark.parametrize(
    "value",
    [
        "500",
        "404 Not Found",
        "HTTP/1.1",
        "GET /api/v2/products",
        "localhost:8080",
        "port 65535",
        "1.27.3",
        "Chrome/120.0.6099.109",
        "v0.161.0",
        "grpc-java-netty/1.62.2",
        "python3.11",
        "std::vector::at",
        "error 99999",
        "12:30",
        "UPPERCASE_CONSTANT",
        "UPPERCASE_CONSTANT_42",
        "snake_case_names_with_2_numbers",
        "billing_address_2_postal_code_v1",
        "customers_idx_2024_05",
        "/usr/lib/python3.11/site_packages2/a_b_c1.py",
        "internationalisation",
        "deadbeef",
        "3.14159265",
        "1e+16",
        "SELECT * FROM orders WHERE id = ?",
        "all-MiniLM-L6-v2",
        "",
    ],
)
def test_what_says_something_stays(value: str) -> None:
    assert mask(value) == value


def test_a_port_stays_behind_a_masked_address() -> None:
    assert mask("10.0.0.1:8080") == "<ip>:8080"
    assert mask("[fe80::1]:8080") == "[<ip>]:8080"


def test_several_details_are_masked_each_for_itself() -> None:
    assert mask("10.0.0.1 sent ann@example.com 1234567 bytes") == "<ip> sent <email> <number> bytes"


@given(st.text())
def test_what_is_masked_stays_as_it_is(value: str) -> None:
    assert mask(mask(value)) == mask(value)


@pytest.mark.parametrize(
    "value",
    [
        "1" * 4096,
        "a" * 4096,
        "a:" * 2048,
        ":" * 4096,
        "1." * 2048,
        "a-" * 2048,
        "A1" * 2048,
        "/1" * 2048,
        "a1_" * 1365,
        "abcdefghijklmno1_" * 241,
    ],
)
def test_no_value_takes_long(value: str) -> None:
    assert cpu_seconds(lambda: mask(f"{value}!")) < 0.2
