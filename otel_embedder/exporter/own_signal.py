"""Sends what the sidecar tells of itself, a message at a time, apart from all others' spans.

What does not get through is not sent again: metrics are told anew, with all that was counted, and
spans of our own work nobody has promised to keep. The log has a line when it begins to fail, and
one when it works again; a metric counts what was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import grpc.aio

from otel_embedder.credentials.tls_files import TlsFiles
from otel_embedder.exporter.answers import read_answer
from otel_embedder.exporter.channel import Keepalive, NextHop, NextHopChannel
from otel_embedder.otlp.words import fit
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from otel_embedder.exporter.settings import TelemetrySettings

TELEMETRY_FAILING = "telemetry.failing"
TELEMETRY_RECOVERED = "telemetry.recovered"

# Most servers hang up on whoever pings more often than every 300 s.
KEEPALIVE = Keepalive(interval=310, timeout=20)
MAX_REASON_BYTES = 400
# Of a message nobody here knows what is in it: so many things at most.
ANY = 2**31

log = get_logger()


class OwnSignalMetrics(Protocol):
    """What is told of messages that nobody took."""

    def telemetry_send_failed(self, signal: str) -> None:
        """Count one of a signal."""
        ...


class OwnSignal:
    """One signal's way to who wants to know of it."""

    def __init__(  # noqa: PLR0913 - collaborators
        self,
        signal: str,
        method: str,
        to: NextHop,
        channel: NextHopChannel,
        *,
        timeout: float,
        metrics: OwnSignalMetrics,
    ) -> None:
        """Prepare to send.

        Args:
            signal: which it is, for the log and the metrics.
            method: what to call, by its full name.
            to: whom.
            channel: the way there.
            timeout: seconds that a message may take.
            metrics: who counts.

        """
        self._signal = signal
        self._method = method
        self._to = to
        self._channel = channel
        self._timeout = timeout
        self._metrics = metrics
        self._is_failing = False

    async def send(self, encoded: bytes) -> None:
        """Send a message once; what comes of it is told in the log, and counted."""
        try:
            answer = await self._channel.call(
                self._method,
                encoded,
                timeout=self._timeout,
                metadata=tuple(self._to.headers.items()),
            )
        except grpc.aio.AioRpcError as error:
            self.failed(f"{error.code().name}: {error.details()}")
            return
        verdict = read_answer(answer, spans=ANY)
        if verdict.rejected:
            self.failed(f"{verdict.rejected} rejected: {'; '.join(verdict.messages)}")
        elif self._is_failing:
            self._is_failing = False
            log.info(TELEMETRY_RECOVERED, signal=self._signal, endpoint=self._to.url)

    def failed(self, reason: str) -> None:
        """Count what was not sent, and tell why, unless the last one wasn't either."""
        self._metrics.telemetry_send_failed(self._signal)
        if not self._is_failing:
            self._is_failing = True
            log.warning(
                TELEMETRY_FAILING,
                signal=self._signal,
                endpoint=self._to.url,
                reason=fit(reason, MAX_REASON_BYTES),
                doing="spans pass all the same",
            )


def own_destination(url: str, settings: TelemetrySettings) -> NextHop:
    """Tell where own signals go, and how."""
    return NextHop(
        url,
        headers=settings.telemetry_headers,
        compression="none",
        keepalive=KEEPALIVE,
        files=TlsFiles(
            authorities=settings.telemetry_certificate,
            certificate=settings.telemetry_client_certificate,
            key=settings.telemetry_client_key,
        ),
    )
