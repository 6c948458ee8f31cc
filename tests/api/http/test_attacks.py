"""What whoever reaches the port may try, and what comes of it."""

from __future__ import annotations

import resource
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import httpx2
import pytest

from otel_embedder.api.http.guard import MAX_BODY_BYTES
from otel_embedder.api.http.serving import MAX_CONNECTIONS, MAX_HEADER_BYTES
from otel_embedder.api.http.session import COOKIE
from otel_embedder.credentials.tokens import FixedTokens, TokenFile
from tests.support.fakes import PATIENCE
from tests.support.made_up import Seen
from tests.support.sites import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.sites import Served

MARKUP = "<script>alert(1)</script>"
SEARCH = "/api/v1/search?question=bank"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def page() -> Iterator[Served]:
    with served(Seen(f"bank {MARKUP}", service=MARKUP, operation=MARKUP)) as site:
        yield site


@pytest.fixture(scope="module")
def closed() -> Iterator[Served]:
    with served(Seen("bank"), tokens=FixedTokens([b"old", b"good"])) as site:
        yield site


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        # DNS rebinding: a name that an attacker gives our address.
        ({"Host": "evil.example"}, SEARCH, 403),
        ({"Host": "evil.example:4329"}, "/", 403),
        ({"Host": "localhost.evil.example"}, SEARCH, 403),
        ({"Host": "127.0.0.1.evil.example"}, SEARCH, 403),
        ({"Host": "127.0.0.1@evil.example"}, SEARCH, 403),
        ({"Host": ""}, SEARCH, 403),
        ({"Host": "LocalHost.:4329"}, SEARCH, 200),
        ({"Host": "[::1]:4329"}, SEARCH, 200),
        ({"Host": "192.0.2.7"}, SEARCH, 200),
        # Another site's page.
        ({"Origin": "https://evil.example"}, SEARCH, 403),
        ({"Origin": "null"}, SEARCH, 403),
        ({"Host": "127.0.0.1:1", "Origin": "http://127.0.0.1:2"}, SEARCH, 403),
        ({"Host": "127.0.0.1:1", "Origin": "https://127.0.0.1:1"}, SEARCH, 403),
        ({"Host": "127.0.0.1:1", "Origin": "http://127.0.0.1:1"}, SEARCH, 200),
        ({"Sec-Fetch-Site": "cross-site"}, SEARCH, 403),
        ({"Sec-Fetch-Site": "same-site"}, SEARCH, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, SEARCH, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, "/", 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "/", 403),
        ({"Sec-Fetch-Site": "same-origin"}, SEARCH, 200),
        # An address of a proxy that somebody made up changes nothing.
        ({"Host": "evil.example", "X-Forwarded-Host": "localhost"}, SEARCH, 403),
    ],
)
def test_only_the_page_itself_may_ask_by_a_name_that_is_ours(
    page: Served, headers: dict[str, str], path: str, status: int
) -> None:
    answer = page.client.get(path, headers=headers)
    assert answer.status_code == status
    assert ("alert(" in answer.text) == (status == 200 and path == SEARCH)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic good"},
        {"Authorization": "good"},
        {"Authorization": "Bearer GOOD"},
        {"Authorization": "Bearer goo"},
        {"Cookie": f"{COOKIE}=good"},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"{COOKIE}={'0' * 64}"},
    ],
)
@pytest.mark.parametrize("path", [SEARCH, "/api/v1/status", "/api/", "/api/v1/nowhere", "/mcp"])
def test_without_a_good_token_nothing_is_told(
    closed: Served, headers: dict[str, str], path: str
) -> None:
    answer = closed.client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()) == {"title", "status", "detail"}


def test_a_token_lets_in_and_so_does_the_cookie_that_the_page_gets_for_it(closed: Served) -> None:
    bearer = {"Authorization": "Bearer good"}
    assert closed.client.get(SEARCH, headers=bearer).status_code == 200
    for path in ("/", "/healthz", "/readyz"):
        assert closed.client.get(path).status_code == 200
    refused = closed.client.post("/api/v1/session", json={"token": "wrong"})
    assert (refused.status_code, "set-cookie" in refused.headers) == (401, False)
    begun = closed.client.post("/api/v1/session", json={"token": "good"})
    assert begun.status_code == 204
    said = begun.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "good" not in said
    cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
    closed.client.cookies.clear()
    assert closed.client.get(SEARCH, headers=cookie).status_code == 200
    foreign = {**cookie, "Origin": "https://evil.example"}
    assert closed.client.get(SEARCH, headers=foreign).status_code == 403


def test_half_a_surrogate_is_no_good_token(closed: Served) -> None:
    answer = closed.client.post(
        "/api/v1/session", content=rb'{"token": "good\ud800"}', headers=JSON
    )

    assert answer.status_code == 401


def test_a_cookie_is_good_for_as_long_as_its_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first\nsecond\n")
    with served(Seen("bank"), tokens=TokenFile(file, look_seconds=0)) as site:
        begun = site.client.post("/api/v1/session", json={"token": "first"})
        assert site.client.get(SEARCH).status_code == 200
        assert begun.status_code == 204
        file.write_text("second and last"[:6])
        assert site.client.get(SEARCH).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/app.py",
        "/..%5c..%5capp.py",
        "//etc/passwd",
        "/index.html%00.js",
        "/./app.py",
        "/static/../app.py",
        "/api/../app.py",
        "/api/v1/search/../../../app.py",
        "/__init__.py",
        "/%ff",
    ],
)
def test_no_path_leads_out_of_the_page(page: Served, path: str) -> None:
    said = answer_to(page, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 404 ")
    assert b"root:" not in said
    assert b"import" not in said


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (f"Content-Length: {1 << 30}\r\n\r\n", b"413"),
        (f"Transfer-Encoding: chunked\r\n\r\n{MAX_BODY_BYTES + 1:x}\r\n", b"413"),
        (f"Content-Length: {1 << 30}\r\nTransfer-Encoding: chunked\r\n\r\n", b"4"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", b"400"),
        ("Content-Length: -1\r\n\r\n", b"400"),
        (f"X: {'a' * (2 * MAX_HEADER_BYTES)}\r\n\r\n", b"4"),
        ("Host: localhost\r\nContent-Length: 0\r\n\r\n", b"400"),
    ],
)
def test_what_is_too_large_or_ambiguous_is_refused_before_it_is_read(
    page: Served, asked: str, status: bytes
) -> None:
    head = "POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = b"a" * (MAX_BODY_BYTES + 1) if "chunked" in asked and "Length" not in asked else b""
    said = answer_to(page, head + asked, body)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert page.client.get(SEARCH).status_code == 200


def test_who_is_refused_hears_of_it_even_if_the_body_comes_late(page: Served) -> None:
    head = b"POST /api/v1/search HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as connection:
        connection.sendall(head)
        time.sleep(0.1)
        connection.sendall(b"{}")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "BREW"])
def test_other_methods_are_refused(page: Served, method: str) -> None:
    assert page.client.request(method, SEARCH).status_code == 405


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_form_of_another_site_can_send_is_refused(page: Served, media_type: str) -> None:
    answer = page.client.post(
        "/api/v1/search", content=b'{"question": "bank"}', headers={"Content-Type": media_type}
    )
    assert answer.status_code == 400


def test_what_spans_say_is_json_and_nothing_that_a_browser_would_run(page: Served) -> None:
    for path in (SEARCH, "/", f"/{MARKUP}", f"/api/v1/search?{MARKUP}=1"):
        answer = page.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        is_page = answer.headers["content-type"].startswith("text/html")
        assert is_page == (path == "/")
    assert page.client.get(SEARCH).json()["hits"][0]["service"] == MARKUP


@pytest.mark.parametrize("begin", ["", "GET / HTTP/1.1\r\nHost: local"])
def test_many_slow_connections_keep_nobody_out(page: Served, begin: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    with ExitStack() as open_ones:
        open_ones.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1_000):
            each = open_ones.enter_context(socket.create_connection(("127.0.0.1", page.port)))
            each.sendall(begin.encode())
        url = f"http://127.0.0.1:{page.port}"
        with httpx2.Client(base_url=url, timeout=PATIENCE) as client:
            for _ in range(3):
                assert client.get(SEARCH).status_code == 200


def test_more_connections_than_there_is_room_for_are_let_go() -> None:
    with served(Seen("bank")) as site, ExitStack() as open_ones:
        first = open_ones.enter_context(socket.create_connection(("127.0.0.1", site.port)))
        for _ in range(MAX_CONNECTIONS):
            open_ones.enter_context(socket.create_connection(("127.0.0.1", site.port)))
        first.settimeout(10)
        assert first.recv(1) == b""


def answer_to(page: Served, head: str, body: bytes = b"") -> bytes:
    """Send bytes as they are, and give all that comes back."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as connection:
        # Whoever refuses does not wait for the rest.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head.encode("latin-1") + body)
        said = b""
        while not said.startswith(b"HTTP/1.1 4") and (more := connection.recv(65_536)):
            said += more
        return said
