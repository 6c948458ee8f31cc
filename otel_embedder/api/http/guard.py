"""Who may ask, and how much: looked at before anything of a request is done.

A page that a browser has open may send requests to any address, this one too. So the
name that it was asked for (`Host`: against DNS rebinding) and the page that it comes
from (`Origin`, `Sec-Fetch-Site`) are looked at always, and a token where one is asked for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from otel_embedder.api.counting import REFUSED
from otel_embedder.api.http.problems import problem_of
from otel_embedder.errors import (
    ForeignSiteError,
    IncompleteRequestError,
    OtelEmbedderError,
    RequestTooLargeError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otel_embedder.api.counting import QuestionMetrics
    from otel_embedder.api.http.session import Session

MAX_BODY_BYTES = 4 * 1024 * 1024
BODY_SECONDS = 10.0

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
READING = {"GET", "HEAD"}
# Where what spans say is; all else is the page's own files, the same for everybody.
DATA = ("/api/", "/mcp")
OPEN = {"/api/v1/session"}


class Guard:
    """Stands before an application: refuses, bounds, and says in each answer what it may do."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        session: Session,
        metrics: QuestionMetrics,
    ) -> None:
        """Guard.

        Args:
            app: the application.
            hosts: by which names it may be asked for, beside IP addresses; in small letters.
            session: knows who may look.
            metrics: who counts what is refused.

        """
        self._app = app
        self._hosts = hosts
        self._session = session
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sending = _with_headers(send)
        try:
            headers = Headers(scope=scope)
            self._check_site(scope, headers)
            await self._check_token(scope, headers)
            body = await _body(headers, receive)
        except OtelEmbedderError as error:
            self._metrics.asked("http", REFUSED)
            if not isinstance(error, (IncompleteRequestError, RequestTooLargeError)):
                await _drop_body(Headers(scope=scope), receive)
            answer = problem_of(error)
            # What comes of the rest of its body is not wanted.
            answer.headers["Connection"] = "close"
            await answer(scope, receive, sending)
            return
        await self._app(scope, _received(body, receive), sending)

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Refuse what a page of another site asks for, whatever name it found us by.

        Raises:
            ForeignSiteError: it does.

        """
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise ForeignSiteError(
                "the page is not asked for by this name: `http_hosts` names those that will do, "
                "beside localhost and IP addresses"
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{hosts[0]}".lower():
            raise ForeignSiteError("another site's page asks, and only this one's own may")
        came_from = headers.get("sec-fetch-site", "same-origin")
        if came_from not in {"same-origin", "none"} and not _is_visit(scope, headers):
            raise ForeignSiteError("another site's page asks, and only this one's own may")

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        return name in self._hosts or _is_address(name)

    async def _check_token(self, scope: Scope, headers: Headers) -> None:
        """Refuse who may not look.

        Raises:
            UnauthenticatedError: no good token came.

        """
        path = scope["path"]
        if not path.startswith(DATA) or path in OPEN:
            return
        if not await self._session.lets_in(headers):
            raise UnauthenticatedError(
                "no token that is good here came: bring one as `Authorization: Bearer TOKEN`, or "
                "let the page ask for it"
            )


def _name(host: str) -> str:
    """Give the name of HOST or HOST:PORT, in small letters."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    return name.strip("[]").rstrip(".").lower()


def _is_address(name: str) -> bool:
    # No name service can give an address another meaning.
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Tell whether somebody followed a link to the page itself."""
    is_page = not scope["path"].startswith(DATA)
    is_followed = headers.get("sec-fetch-mode") == "navigate"
    return is_page and is_followed and scope["method"] in READING


async def _body(headers: Headers, receive: Receive) -> bytes:
    """Read a body to its end.

    Raises:
        RequestTooLargeError: it is too large.
        IncompleteRequestError: it does not come.

    """
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise RequestTooLargeError(f"a question may have {MAX_BODY_BYTES} bytes at most")
    if not length and "transfer-encoding" not in headers:
        return b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive)
    except TimeoutError as error:
        raise IncompleteRequestError(
            f"the question had not arrived after {BODY_SECONDS:g} s: ask again"
        ) from error


async def _drop_body(headers: Headers, receive: Receive) -> None:
    """Read what nobody wants: a connection that is closed before that loses the answer, too."""
    with suppress(IncompleteRequestError, RequestTooLargeError):
        await _body(headers, receive)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise IncompleteRequestError("who asked has gone: ask again")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLargeError(f"a question may have {MAX_BODY_BYTES} bytes at most")
        if not message.get("more_body", False):
            return bytes(body)


def _received(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read, and then whatever comes."""
    waiting = [body]

    async def give() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return give


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURE_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
