"""Tells in the log when the next hop begins to fail and when it has recovered.

To fail is not to answer in time, to be away, or to answer with a page, as what speaks no gRPC does.
A refusal of one request is none: it is for its sender, and says that somebody is there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import grpc.aio

from otel_embedder.otlp.words import fit
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

NEXT_HOP_FAILING = "next_hop.failing"
NEXT_HOP_STILL_FAILING = "next_hop.still_failing"
NEXT_HOP_RECOVERED = "next_hop.recovered"

FAILURES = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
# Who gives it less time than this can't tell that it is slow.
LEAST_SECONDS = 1.0
# Where some calls fail and some do not: so long after a line no new failure begins in the log.
QUIET_SECONDS = 10.0
# And so often it is told that a failure goes on.
REMIND_SECONDS = 60.0
MAX_REASON_BYTES = 400

# How the words of gRPC's C core begin. What the next hop itself says may hold what a span holds, so
# it goes to the sender alone.
OF_GRPC = re.compile(
    r"connections to all backends failing|failed to connect to all addresses|errors resolving"
    r"|DNS resolution failed|Deadline Exceeded|Socket closed|recvmsg|Connection reset|Broken pipe"
    r"|GOAWAY|keepalive|ping timeout|Stream removed|Too many pings|Failed parsing HTTP/2"
    r"|Received http2 header with status",
    re.IGNORECASE,
)
# What gRPC says of a page, whose status is HTTP's: 413 is of one request, which is too large.
PAGE = re.compile(r"Received http2 header with status: (?!413)")
UNANSWERED = "DEADLINE_EXCEEDED: no answer in the time of the caller"
OTHER_WORDS = "in words of its own, which went to the sender"

HTTP_PORT = 4318
HTTP_REMEDY = "4318 is OTLP/HTTP; the gRPC port is 4317"
# By words of gRPC's, as patterns.
REMEDIES = (
    (r"http1\.x server", HTTP_REMEDY),
    ("Failed parsing HTTP/2", HTTP_REMEDY),
    ("CERTIFICATE_VERIFY_FAILED", "next_hop_certificate names the authorities to trust"),
    ("WRONG_VERSION_NUMBER", "does it want http://?"),
    ("http2 header with status: 40[13]", "does it want a token? next_hop_headers has what it gets"),
    (
        r"http2 header with status: (?:[23]..|4[0-2].|50[015])",
        "it answers as a web server does; is that where it takes OTLP/gRPC, mostly port 4317?",
    ),
)
# And of one that has never answered.
REMEDIES_AT_FIRST = {"http": (("Socket closed", "does it want https://?"),), "https": ()}

DOING = (
    "spans that nobody takes in their sender's time are answered UNAVAILABLE, for the sender to "
    "keep and send again"
)

log = get_logger()


class NextHopHealth:
    """Whether the next hop is failing, as far as calls have told."""

    def __init__(self, url: str, *, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._ever_answered = False
        self._failing_since: float | None = None
        self._is_told = False
        self._failed_calls = 0
        self._tell_at = clock()

    def answered(self) -> None:
        """Note a call that it answered with OK."""
        self._ever_answered = True
        if self._failing_since is not None:
            self._recover(self._failing_since)

    def failed(self, error: grpc.aio.AioRpcError, *, seconds: float) -> None:
        """Note a call that it did not.

        Args:
            error: what it came to.
            seconds: what time it had.

        """
        if error.code() not in FAILURES and not PAGE.match(error.details() or ""):
            return
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and seconds < LEAST_SECONDS:
            return
        self._note(_reason(error))

    def unanswered(self, *, seconds: float) -> None:
        """Note a call that it had not answered when its caller's time was over.

        Args:
            seconds: what time it had.

        """
        if seconds >= LEAST_SECONDS:
            self._note(UNANSWERED)

    def _note(self, reason: str) -> None:
        now = self._clock()
        self._failing_since = now if self._failing_since is None else self._failing_since
        self._failed_calls += 1
        if now >= self._tell_at:
            self._tell(reason, now)

    def _tell(self, reason: str, now: float) -> None:
        remedy = self._remedy(reason)
        log.warning(
            NEXT_HOP_STILL_FAILING if self._is_told else NEXT_HOP_FAILING,
            next_hop=self._url,
            reason=reason,
            failed_calls=self._failed_calls,
            doing=DOING,
            **({"remedy": remedy} if remedy else {}),
        )
        self._is_told, self._failed_calls = True, 0
        self._tell_at = now + REMIND_SECONDS

    def _recover(self, since: float) -> None:
        now = self._clock()
        if self._is_told:
            log.info(NEXT_HOP_RECOVERED, next_hop=self._url, seconds=round(now - since, 1))
            self._tell_at = now + QUIET_SECONDS
        self._failing_since, self._is_told, self._failed_calls = None, False, 0

    def _remedy(self, reason: str) -> str | None:
        """Give what mends it, where that can be told."""
        url = urlsplit(self._url)
        remedies = REMEDIES if self._ever_answered else (*REMEDIES, *REMEDIES_AT_FIRST[url.scheme])
        for words, remedy in remedies:
            if re.search(words, reason):
                return remedy
        return HTTP_REMEDY if url.port == HTTP_PORT and not self._ever_answered else None


def _reason(error: grpc.aio.AioRpcError) -> str:
    words = error.details() or ""
    said = fit(words, MAX_REASON_BYTES) if OF_GRPC.match(words) else OTHER_WORDS
    return f"{error.code().name}: {said}"
