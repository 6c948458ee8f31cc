"""Settings that are right one by one, and wrong together in a sidecar."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otel_embedder.errors import LOOP_REMEDY
from otel_embedder.exporter.settings import TelemetrySettings
from otel_embedder.receiver.addresses import addresses, is_exposed, socket_path
from otel_embedder.search.settings import MEMORY

if TYPE_CHECKING:
    from otel_embedder.settings import Check, Settings

PAGE_REMEDY = "what serves the page is not installed; install otel-embedder[page]"
TRACES_REMEDY = "what makes these spans is not installed; install otel-embedder[telemetry]"
# The last of these brings what is around it.
MAKES_SPANS = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.common")
# What of the settings needs which others: how own metrics and spans are sent, both alike, and each.
TOLD_TO = ("metrics_otlp_endpoint", "traces_otlp_endpoint")
TELLING = dict.fromkeys(
    (name for name in TelemetrySettings.model_fields if name.startswith("telemetry_")), TOLD_TO
) | {
    "metrics_otlp_interval": TOLD_TO[:1],
    "traces_otlp_ratio": TOLD_TO[1:],
}
LOCALHOST = {"127.0.0.1", "::1"}


def find_loop(settings: Settings) -> list[str]:
    """Tell whether the next hop is where this sidecar listens itself."""
    return [
        f"next_hop: {settings.next_hop} is where this sidecar itself listens ({address}), so spans "
        f"would go round for ever; {LOOP_REMEDY}. Where OTEL_EXPORTER_OTLP_ENDPOINT tells a whole "
        "pod to send here, OTEL_EMBEDDER_NEXT_HOP goes before it"
        for address in addresses(settings.listen)
        if _is_same(address, settings.next_hop)
    ]


def find_own_echo(settings: Settings) -> list[str]:
    """Tell whether what the sidecar tells of itself would come back to it."""
    endpoints = {
        "metrics_otlp_endpoint": settings.metrics_otlp_endpoint,
        "traces_otlp_endpoint": settings.traces_otlp_endpoint,
    }
    return [
        f"{name}: {endpoint} is where this sidecar itself listens ({address}), so it would tell "
        "itself of itself; name a Collector, or a backend"
        for name, endpoint in endpoints.items()
        for address in addresses(settings.listen)
        if endpoint is not None and _is_same(address, endpoint)
    ]


def _is_same(listen: str, next_hop: str) -> bool:
    if socket_path(listen) is not None:
        return False
    own, other = urlsplit(f"//{listen}"), urlsplit(next_hop)
    if not own.hostname or not other.hostname:
        return False
    if own.port != other.port:
        return False
    reached = _addresses(other.hostname)
    return bool(_addresses(own.hostname) & reached) or (
        _is_any(own.hostname) and any(map(_is_loopback, reached))
    )


def _addresses(host: str) -> set[str]:
    """Give the addresses that a host stands for, as far as that needs no network."""
    # To connect to "any address" is to connect to this host.
    return set(LOCALHOST) if host == "localhost" or _is_any(host) else {host}


def _is_any(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_unspecified


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def find_exposure(settings: Settings) -> list[str]:
    """Tell whether other hosts are let in without TLS, and not on purpose."""
    if settings.tls_certificate or settings.listen_insecure:
        return []
    return [
        f"listen: other hosts may reach {address}, and without TLS whoever is on the way reads and "
        "changes the spans; give tls_certificate and tls_key, listen on 127.0.0.1 or unix:PATH, or "
        "allow it with listen_insecure (--listen-insecure, OTEL_EMBEDDER_LISTEN_INSECURE=true)"
        for address in filter(is_exposed, addresses(settings.listen))
    ]


def find_open_page(settings: Settings) -> list[str]:
    """Tell whether other hosts may look at the page without TLS or a token, not on purpose."""
    address = settings.http_listen
    if address is None or not is_exposed(address) or settings.http_insecure:
        return []
    is_private = settings.http_certificate is not None
    is_asked = settings.http_token_file is not None or settings.http_token is not None
    lacking = [
        what
        for what, is_there in (
            ("TLS (http_certificate and http_key)", is_private),
            ("a token (http_token_file)", is_asked),
        )
        if not is_there
    ]
    if not lacking:
        return []
    problem = (
        f"http_listen: other hosts may reach {address}, and read there what spans say; give "
        f"{' and '.join(lacking)}, listen on 127.0.0.1, or allow it with http_insecure "
        "(--http-insecure, OTEL_EMBEDDER_HTTP_INSECURE=true)"
    )
    return [problem]


def find_empty_page(settings: Settings) -> list[str]:
    """Tell whether there is a page, and nothing to show on it."""
    if settings.http_listen is None or settings.catalogue is not None:
        return []
    return ["http_listen: the page shows a catalogue, and none is set; set catalogue, too"]


def find_missing_page(settings: Settings) -> list[str]:
    """Tell whether there is to be a page, and what serves it is not installed."""
    is_there = find_spec("starlette") and find_spec("uvicorn")
    if settings.http_listen is None or is_there:
        return []
    return [f"http_listen: {PAGE_REMEDY}"]


def find_unshared(settings: Settings) -> list[str]:
    """Tell what several workers would not have in common."""
    if settings.workers == 1:
        return []
    problems = []
    sockets = [each for each in addresses(settings.listen) if socket_path(each) is not None]
    if len(sockets) < settings.workers and len(sockets) == len(addresses(settings.listen)):
        problems.append(
            f"listen: a socket file is one worker's, so of {settings.workers} workers some would "
            "have none; name one for each, with commas, or listen on HOST:PORT, which all share"
        )
    if settings.catalogue == MEMORY:
        problems.append(
            "catalogue: each of several workers would have a part of it in its own memory; name a "
            "file, which they share (sqlite:///PATH), or leave workers at 1"
        )
    if settings.http_listen is not None:
        problems.append(
            "http_listen: the page tells how one process does, not several workers; show the "
            "catalogue by a process of its own (otel-embedder page), or leave workers at 1"
        )
    return problems


def find_untold(name: str, settings: Settings) -> list[str]:
    """Tell whether a setting says how to send what is not sent."""
    endpoints = TELLING[name]
    is_sent = any(getattr(settings, endpoint) is not None for endpoint in endpoints)
    if is_sent or getattr(settings, name) == TelemetrySettings.model_fields[name].default:
        return []
    problem = (
        f"{name}: it says how what the sidecar tells of itself is sent, and nothing is; give "
        f"{' or '.join(endpoints)}, or leave it out"
    )
    return [problem]


def find_missing_sdk(settings: Settings) -> list[str]:
    """Tell whether there are to be spans of our own, and what makes them is not installed."""
    if settings.traces_otlp_endpoint is None or all(map(_is_installed, MAKES_SPANS)):
        return []
    return [f"traces_otlp_endpoint: {TRACES_REMEDY}"]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it would be in
        return False


CHECKS: tuple[Check, ...] = (
    find_exposure,
    find_loop,
    find_own_echo,
    find_open_page,
    find_empty_page,
    find_missing_page,
    find_missing_sdk,
    find_unshared,
    # Each by itself: one that is wrong already hides no other.
    *(partial(find_untold, name) for name in TELLING),
)
