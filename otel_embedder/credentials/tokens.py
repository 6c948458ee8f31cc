"""Tokens that are good: as they are set, or those of a file, which somebody renews."""

from __future__ import annotations

import asyncio
import hmac
from functools import partial
from typing import TYPE_CHECKING, Protocol

from otel_embedder.credentials.checks import read_tokens
from otel_embedder.credentials.renewed import RenewedFiles
from otel_embedder.errors import CredentialsError
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pydantic import SecretStr

TOKENS_RENEWED = "tokens.renewed"
TOKENS_NOT_RENEWED = "tokens.not_renewed"

# So long a token that was withdrawn may go on being good.
LOOK_SECONDS = 1.0

SCHEME = "bearer"

log = get_logger()


class Tokens(Protocol):
    """The tokens that are good."""

    async def include(self, token: bytes) -> bool:
        """Tell whether a token is among them."""
        ...

    async def good(self) -> Sequence[bytes]:
        """Give them."""
        ...


class FixedTokens:
    """Tokens that stay as they are."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._tokens = tokens

    async def include(self, token: bytes) -> bool:
        """Tell whether a token is among them."""
        return is_among(token, self._tokens)

    async def good(self) -> Sequence[bytes]:
        """Give them."""
        return self._tokens


class TokenFile:
    """Tokens of a file, one a line; when it changes, those that are there now."""

    def __init__(self, file: Path, *, look_seconds: float = LOOK_SECONDS) -> None:
        """Read it.

        Args:
            file: the file.
            look_seconds: so long a token that was withdrawn may go on being good.

        Raises:
            CredentialsError: it holds no token, or can't be read.

        """
        self._file = str(file)
        self._tokens = RenewedFiles((file,), partial(_read, file), kept=self._tell_why)
        self._look_seconds = look_seconds
        self._looked_at = 0.0
        self._looking = asyncio.Lock()

    async def include(self, token: bytes) -> bool:
        """Tell whether a token is among them."""
        now = asyncio.get_running_loop().time()
        await self._look(since=now - self._look_seconds)
        if is_among(token, self._tokens.current()):
            return True
        # It may have come into the file this moment.
        await self._look(since=now)
        return is_among(token, self._tokens.current())

    async def good(self) -> Sequence[bytes]:
        """Give those that are in the file."""
        await self._look(since=asyncio.get_running_loop().time() - self._look_seconds)
        return self._tokens.current()

    async def _look(self, *, since: float) -> None:
        """Make sure that somebody has looked at the file since then."""
        if self._looked_at >= since:
            return
        async with self._looking:
            if self._looked_at < since:
                self._looked_at = asyncio.get_running_loop().time()
                await asyncio.to_thread(self._look_and_tell)

    def _look_and_tell(self) -> None:
        if self._tokens.look():
            log.info(TOKENS_RENEWED, file=self._file, tokens=len(self._tokens.current()))

    def _tell_why(self, complaint: str) -> None:
        log.warning(TOKENS_NOT_RENEWED, file=self._file, error=complaint)


def tokens_of(one: SecretStr | None, file: Path | None) -> Callable[[], Tokens] | None:
    """Give what reads the tokens that settings have: one, or a file of them; None without either.

    It raises CredentialsError where the file can't be read any more.
    """
    if file is not None:
        return partial(TokenFile, file)
    if one is not None:
        return partial(FixedTokens, [one.get_secret_value().encode()])
    return None


def presented(authorization: str) -> bytes:
    """Give the token that an `authorization` header brings; nothing if it brings none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip().encode() if scheme.lower() == SCHEME else b""


def _read(file: Path) -> tuple[bytes, ...]:
    try:
        return read_tokens(file)
    except ValueError as error:
        raise CredentialsError(str(error)) from error


def is_among(token: bytes, tokens: Sequence[bytes]) -> bool:
    """Tell whether a token is one of these, in a time that tells nothing about them."""
    # All of them, so that the time does not tell which.
    return True in [hmac.compare_digest(token, good) for good in tokens]
