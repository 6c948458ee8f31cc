from __future__ import annotations

import pytest

from otel_embedder.settings import load_settings
from otel_embedder.sidecar.workers.channel import Share
from otel_embedder.sidecar.workers.sharing import own_settings


def test_workers_together_hold_what_one_would() -> None:
    settings = load_settings(
        {
            "workers": 4,
            "max_inflight_bytes": "64MiB",
            "max_inflight_requests": 100,
            "cache_size": 2_000,
            "max_queue_size": 400,
            "model_threads": 8,
            "max_receive_bytes": "16MiB",
            "metrics_otlp_endpoint": "http://127.0.0.1:4317",
            "traces_otlp_endpoint": "http://127.0.0.1:4317",
        }
    )

    own = own_settings(Share(1, settings))

    assert own.max_inflight_bytes == 16 * 1024 * 1024
    assert (own.max_inflight_requests, own.cache_size, own.max_queue_size) == (25, 500, 100)
    assert own.model_threads == 2
    assert own.max_receive_bytes == settings.max_receive_bytes
    # Of all of them their supervisor tells; each request is one worker's.
    assert (own.metrics_listen, own.metrics_otlp_endpoint) == ("", None)
    assert own.traces_otlp_endpoint == settings.traces_otlp_endpoint


def test_none_has_less_than_it_needs() -> None:
    least = {"max_inflight_requests": 1, "max_inflight_bytes": 1024, "cache_size": 100}
    settings = load_settings({"workers": 64, **least, "max_queue_size": 1, "model_threads": 1})

    own = own_settings(Share(63, settings))

    assert {name: getattr(own, name) for name in least} == least
    assert (own.max_queue_size, own.model_threads) == (1, 1)


@pytest.mark.parametrize(
    ("number", "listen"),
    [
        (0, "127.0.0.1:1,[::1]:2,unix:a,unix:d"),
        (1, "127.0.0.1:1,[::1]:2,unix:b"),
        (2, "127.0.0.1:1,[::1]:2,unix:c"),
    ],
)
def test_ports_are_all_workers_and_socket_files_are_dealt_out(number: int, listen: str) -> None:
    each = "unix:a,127.0.0.1:1,unix:b,unix:c,[::1]:2,unix:d"

    assert (
        own_settings(Share(number, load_settings({"workers": 3, "listen": each}))).listen == listen
    )
