"""What may be chosen about logs and metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from otel_embedder.fields import EmptyForNone, RoomSettings, check_host_and_port

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


def _address_or_nothing(value: str) -> str:
    if value:
        check_host_and_port(value)
    return value


class MetricsSettings(RoomSettings):
    """Where the metrics are."""

    metrics_listen: Annotated[str, AfterValidator(_address_or_nothing), EmptyForNone()] = Field(
        "127.0.0.1:9464", description="HOST:PORT for Prometheus to scrape; empty for none."
    )


class LogSettings(RoomSettings):
    """What the log tells, and how."""

    log_format: LogFormat = Field("console", description="console or json.")
    log_level: LogLevel = Field("info", description="debug, info, warning or error.")
