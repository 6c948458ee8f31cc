"""Values of every kind that secrets or masks are looked for in; run, this renders such values."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer

if TYPE_CHECKING:
    from otel_embedder.text.rendering import TextRenderer

PROFILES = ("words", "template")
KEYS = ("app.note", "url.full", "db.query.text", "cache.key", "k8s.pod.name", "db.user")
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

VALUES = (
    *(
        "GET",
        "orders",
        "the disk is full",
        "shipping address of 3 parcels",
        UUID,
        "v2",
        "p95=17 ms",
    ),
    f"https://shop.example.com:8443/api/v2/orders/4711/items?user={UUID}&page=3",
    "SELECT a FROM t WHERE id = '0f8fad5b-d9cb' AND n IN (1, 2, 3) AND s = N'x' LIMIT 20",
    "INSERT INTO users (name, password) VALUES ('ann', 'hunter2x9'), ('bob', 'x')",
    'update t set a = "x", b = -1.5e3 where c like "%y%"',
    *("AUTH ann hunter2x9", "mysql -uann -phunter2x9 shop", "curl -u ann:hunter2x9 http://shop"),
    *("ssh-keygen -N hunter2x9", "user ann on #0123456789abcdef", "select sha('hunter2x9')"),
    *("password=hunter2x9", '{"apiKey": "hunter2x9"}', "pin: 12ab34", "--token hunter2x9"),
    *("sqlplus ann/hunter2x9@shop", "jdbc:oracle:thin:ann/hunter2x9@shop", "Bearer abcdefgh12"),
    *(
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi",
        "AKIA" + "Z" * 16,
    ),
    *("card 4111 1111 1111 1111", "4111111111111111", "redis://:hunter2x9@cache:6379/0"),
    *("2026-11-26T10:11:12Z", "Thu, 26 Nov 2026 10:11:12 GMT", "26/Nov/2026:10:11:12 +0000"),
    *("took 17.3 ms", "buffered_nanos=29871", "timeout of 4.9999s", "PT1M3.5S", "1732615872.123"),
    *("::1", "fe80::1ff:fe23:4567:890a", "a1:b::c", "10.0.0.17:54321->10.0.0.18:5432"),
    *("from 10.0.0.1:54321", "local port: 51234", "exec-17", "pool-3-thread-17", "ip-10-0-0-1"),
    *("Job$$Lambda$772/0x0000000801", "Cart$$SpringCGLIB$$0", "jdk.proxy2", "a.B$1", "fn__123"),
    *("Object@1b2c3d4f", "<0.123.0>", "amq.gen-JzTY20BRgKO", "_INBOX.abc.def", "ID:host-1-2"),
    *(
        "cart-7d9f8b6c5-x2x4z",
        "web-0",
        "ch_3MtwBwLkdIwHu7ix28a3tqPa",
        "order_id: 17",
        "user:42:cart",
    ),
    *(
        "lock shop:cart:17",
        "Key (id)=(17) already exists",
        "0x7ffd",
        "order 12345678",
        "a1b2c3d4e5",
    ),
    *(
        "HTTP status 503",
        "code: 404",
        "java.lang.IllegalStateException: com.shop.Cart$1 at 3:04 PM",
    ),
    *(
        "passwort=geheim1x",
        "contraseña=hunter2x9",
        "пароль: hunter2x9",
        "pa\u017f\u017fword=hunter2x9",
    ),
    *("١٢٣٤٥٦٧", "17\u00a0ms", "17 µs", "a→b", "10.0.0.1:5000 → 10.0.0.2:80"),
)


def render_values(values: list[str]) -> list[str]:
    """Give the texts of spans that have these values in each of their places."""
    spans = [span.SerializeToString() for value in values for span in _spans(value)]
    return [
        _renderer(profile).render(span, "shop").content for profile in PROFILES for span in spans
    ]


@cache
def _renderer(profile: str) -> TextRenderer:
    return new_renderer(RenderOptions(profile=profile))


def _spans(value: str) -> list[Span]:
    error = Span(name=value, status=Status(code=Status.STATUS_CODE_ERROR, message=value))
    trace = Span(name="charge")
    event = trace.events.add(name="exception")
    for key in ("exception.message", "exception.stacktrace"):
        event.attributes.add(key=key).value.string_value = f"a.B: {value}\n\tat a.B.c(B.java:17)"
    spans = [error, trace]
    for key in KEYS:
        spans.append(Span(name="charge"))
        spans[-1].attributes.add(key=key).value.string_value = value
    return spans


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(render_values(json.loads(line))) + "\n")
        sys.stdout.flush()
