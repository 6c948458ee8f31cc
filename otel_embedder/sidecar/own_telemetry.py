"""What the sidecar tells of itself by OTLP, beside its work, if somebody wants to know.

Each signal is a task that waits, takes what there is to tell, and sends it once within its time.
Nothing of that is on the way of the spans, and all of it is bounded.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from otel_embedder import __version__
from otel_embedder.errors import CredentialsError, SettingsError
from otel_embedder.exporter.channel import NextHopChannel
from otel_embedder.exporter.own_signal import OwnSignal, own_destination
from otel_embedder.otlp.call import NoTraces
from otel_embedder.otlp.names import EXPORT_METHOD, METRICS_METHOD
from otel_embedder.sidecar.background import beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import CollectorRegistry

    from otel_embedder.exporter.own_signal import OwnSignalMetrics
    from otel_embedder.exporter.settings import TelemetrySettings
    from otel_embedder.otlp.call import Traces
    from otel_embedder.settings import Settings
    from otel_embedder.telemetry.metrics import Metrics

SPANS_SECONDS = 1.0
# Of spans so many messages are sent one after the other, if there are so many.
SPANS_MESSAGES = 8
# What is told in the end may take so long.
LAST_SECONDS = 1.0


class Telling(NamedTuple):
    """One signal of our own.

    Attributes:
        name: which.
        method: what is called with it.
        endpoint: where it goes.
        interval: seconds until it is told again.
        messages: at most so many are sent then.
        take: gives the next message, encoded; empty if there is nothing to tell. For threads.

    """

    name: str
    method: str
    endpoint: str
    interval: float
    messages: int
    take: Callable[[], bytes]


@asynccontextmanager
async def own_telemetry(settings: Settings, metrics: Metrics) -> AsyncIterator[Traces]:
    """Push metrics, and give what makes spans of requests, as far as the settings ask for it.

    Raises:
        SettingsError: the certificates can't be used any more.

    """
    pushing = pushed_metrics(settings, metrics.registry, metrics)
    async with pushing, _sent_spans(settings, metrics) as traces:
        yield traces


@asynccontextmanager
async def pushed_metrics(
    settings: Settings, registry: CollectorRegistry, metrics: OwnSignalMetrics
) -> AsyncIterator[None]:
    """Push what a registry stands at, if the settings say where to.

    Args:
        settings: say where to.
        registry: what is pushed.
        metrics: get told of what was not taken.

    Raises:
        SettingsError: the certificates can't be used any more.

    """
    if settings.metrics_otlp_endpoint is None:
        yield
        return
    # Who does not push does not pay for it.
    from otel_embedder.telemetry.otlp.metrics import MetricsMessage  # noqa: PLC0415
    from otel_embedder.telemetry.otlp.resource import own_resource  # noqa: PLC0415

    resource = own_resource(settings.telemetry_resource, __version__)
    message = MetricsMessage(registry, resource)
    telling = Telling(
        name="metrics",
        method=METRICS_METHOD,
        endpoint=settings.metrics_otlp_endpoint,
        interval=settings.metrics_otlp_interval,
        messages=1,
        take=message.encoded,
    )
    async with told(settings, telling, metrics):
        yield


@asynccontextmanager
async def _sent_spans(settings: Settings, metrics: OwnSignalMetrics) -> AsyncIterator[Traces]:
    if settings.traces_otlp_endpoint is None:
        yield NoTraces()
        return
    # An extra brings what it is made with.
    from otel_embedder.otlp.tracing import Tracing  # noqa: PLC0415
    from otel_embedder.telemetry.otlp.resource import own_resource  # noqa: PLC0415

    resource = own_resource(settings.telemetry_resource, __version__)
    tracing = Tracing(resource, ratio=settings.traces_otlp_ratio)
    telling = Telling(
        name="traces",
        method=EXPORT_METHOD,
        endpoint=settings.traces_otlp_endpoint,
        interval=SPANS_SECONDS,
        messages=SPANS_MESSAGES,
        take=tracing.encoded,
    )
    async with told(settings, telling, metrics):
        yield tracing


@asynccontextmanager
async def told(
    settings: TelemetrySettings, telling: Telling, metrics: OwnSignalMetrics
) -> AsyncIterator[None]:
    """Tell a signal again and again, and what is left in the end.

    Raises:
        SettingsError: the certificates can't be used any more.

    """
    destination = own_destination(telling.endpoint, settings)
    async with AsyncExitStack() as parts:
        try:
            channel = await parts.enter_async_context(NextHopChannel(destination))
        except CredentialsError as error:
            fields = "telemetry_certificate, telemetry_client_certificate, telemetry_client_key"
            raise SettingsError([f"{fields}: {error}"]) from error
        signal = OwnSignal(
            telling.name,
            telling.method,
            destination,
            channel,
            timeout=settings.telemetry_timeout,
            metrics=metrics,
        )
        is_ending = asyncio.Event()
        async with beside(_tell_until(is_ending, signal, telling)) as task:
            yield
            is_ending.set()
            # Beyond its time nobody waits for it: requests were waited for, and the process ends.
            await asyncio.wait([task], timeout=LAST_SECONDS)


async def _tell_until(is_ending: asyncio.Event, signal: OwnSignal, telling: Telling) -> None:
    """Tell again and again, and once more when it ends: what is being sent then is sent before."""
    is_last = False
    while not is_last:
        with suppress(TimeoutError):
            async with asyncio.timeout(telling.interval):
                await is_ending.wait()
        is_last = is_ending.is_set()
        await _tell(signal, telling)


async def _tell(signal: OwnSignal, telling: Telling) -> None:
    """Take what there is to tell, and send it; never raises."""
    for _ in range(telling.messages):
        try:
            message = await asyncio.to_thread(telling.take)
        except Exception as error:  # noqa: BLE001 - a fault of ours, and no reason to end the process
            signal.failed(f"unexpected {type(error).__name__}")
            return
        if not message:
            return
        await signal.send(message)
