"""What may be chosen about the catalogue."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr

from otel_embedder.fields import MAX_SECONDS, RoomSettings
from otel_embedder.search.links import check_trace_link

MEMORY = "memory"
SQLITE_SCHEME = "sqlite:///"
MAX_DAYS = 3_650.0


def check_catalogue(url: str) -> str:
    """Make sure that a catalogue can be where this says.

    Raises:
        ValueError: no store is called so.

    """
    if url == MEMORY or (url.startswith(SQLITE_SCHEME) and url != SQLITE_SCHEME):
        return url
    raise ValueError(
        f"must be {SQLITE_SCHEME}PATH, with four slashes for a path from the root, or {MEMORY}"
    )


def check_webhook(url: str) -> str:
    """Make sure that something can be posted to a URL.

    Raises:
        ValueError: it can't.

    """
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if is_good and url.isascii() and url.isprintable() and " " not in url:
        return url
    raise ValueError("must be a URL such as https://hooks.example/alerts")


class CatalogueSettings(RoomSettings):
    """Where each text that passes is kept, and for how long."""

    catalogue: Annotated[str, AfterValidator(check_catalogue)] | None = Field(
        None,
        description="Where to keep each text that passes, with counts and examples, for `search`: "
        "sqlite:///PATH, or memory for as long as the process lives; it holds what spans say.",
    )
    catalogue_interval: PositiveFloat = Field(
        10.0,
        le=MAX_SECONDS,
        description="Seconds after which what has passed is written to the catalogue.",
    )
    catalogue_retention: PositiveFloat = Field(
        14.0,
        le=MAX_DAYS,
        description="Days after which what was not seen any more leaves the catalogue.",
    )
    catalogue_minutes: PositiveFloat = Field(
        1.0,
        le=MAX_DAYS,
        description="Days for which the catalogue keeps what was counted by minutes; then by hours "
        "only.",
    )
    catalogue_hours: PositiveFloat = Field(
        7.0,
        le=MAX_DAYS,
        description="Days for which the catalogue keeps what was counted by hours; then by days "
        "only.",
    )
    catalogue_texts: PositiveInt = Field(
        200_000,
        le=10_000_000,
        description="Texts that the catalogue keeps; those not seen for longest go first.",
    )
    trace_link: Annotated[str, AfterValidator(check_trace_link)] | None = Field(
        None,
        description="Where a trace can be looked at: a URL with {trace_id}, or one of tempo, "
        "jaeger, grafana, signoz and zipkin with the address, such as jaeger=http://HOST:16686.",
    )
    group_quiet_after: PositiveFloat = Field(
        7.0,
        le=MAX_DAYS,
        description="Days after which a failure that was not seen is told of as regressed when it "
        "comes again.",
    )
    group_webhook: Annotated[str, AfterValidator(check_webhook)] | None = Field(
        None,
        description="URL to which failures that are new, or have come again, are posted as JSON.",
    )
    group_webhook_form: Literal["json", "slack", "alertmanager"] = Field(
        "json",
        description="Form of what is posted: json has all fields, slack and alertmanager (its API "
        "of alerts, version 2) theirs.",
    )
    group_webhook_secret: SecretStr | None = Field(
        None,
        description="Key of the signature that is posted with it, see docs/groups.md; as a flag it "
        "shows in the list of processes.",
    )
