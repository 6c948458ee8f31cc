"""Who may look: whoever brings a token, or the cookie that the page got for one.

The cookie is made of a token and lets nobody find it out. It needs no memory of ours:
it is good on each replica, after a restart, and for as long as its token is.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.requests import cookie_parser

from otel_embedder.credentials.tokens import is_among, presented
from otel_embedder.telemetry.sparing import Sparing

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from otel_embedder.credentials.tokens import Tokens

COOKIE = "otel_embedder"
PURPOSE = b"otel-embedder: the page's cookie"
LOOK_REFUSED = "page.refused"


class Session:
    """Tells who may look."""

    def __init__(self, tokens: Tokens | None) -> None:
        """Ask for one of these tokens, or for none."""
        self._tokens = tokens
        self._refusals = Sparing(LOOK_REFUSED)

    async def lets_in(self, headers: Headers) -> bool:
        """Tell whether a request brings a token or a cookie that is good."""
        if self._tokens is None:
            return True
        token = presented(headers.get("authorization", ""))
        if token and await self._tokens.include(token):
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if cookie and await self._is_good(cookie):
            return True
        self._refusals.tell()
        return False

    async def cookie_for(self, token: str) -> str | None:
        """Give the cookie for a token; None if the token is not good."""
        # Half of a surrogate, which JSON may bring, is in no token.
        encoded = token.encode(errors="surrogatepass")
        if self._tokens is None or not await self._tokens.include(encoded):
            return None
        return _cookie(encoded)

    async def _is_good(self, cookie: str) -> bool:
        good = await self._tokens.good() if self._tokens else ()
        return is_among(cookie.encode(), [_cookie(token).encode() for token in good])


def _cookie(token: bytes) -> str:
    return hmac.digest(token, PURPOSE, "sha256").hex()
