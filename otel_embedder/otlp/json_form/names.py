"""What a JSON object is by its keys: OTLP's traces by any of their names, or something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_embedder.errors import ForeignContentError
from otel_embedder.otlp.json_form.fields import plain_name, shown

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_KEYS = 5  # shown of an object that is nothing we know
WANTED = 'wanted is OTLP/JSON of traces, an object with "resourceSpans"'


class Name(NamedTuple):
    """The key of a list that is walked over element by element.

    Attributes:
        usual: as it is written nearly always.
        beside: the usual keys beside it.
        others: plain names of what means the same.

    """

    usual: str
    beside: frozenset[str]
    others: frozenset[str]

    def is_spelt(self, key: str) -> bool:
        """Tell whether a key that is not the usual one means the same."""
        return plain_name(key) in self.others


# `batches` is what Tempo's API answers with.
RESOURCE_SPANS = Name("resourceSpans", frozenset(), frozenset({"resourcespans", "batches"}))
# What it was called before 2022.
SCOPE_SPANS = Name(
    "scopeSpans",
    frozenset({"resource", "schemaUrl"}),
    frozenset({"scopespans", "instrumentationlibraryspans"}),
)
SPANS = Name("spans", frozenset({"scope", "schemaUrl"}), frozenset({"spans"}))
# What stands around all that: in Tempo's API since its version 2, in Jaeger's since its version 3.
WRAPPING = frozenset({"trace", "result"})
# What Tempo says of a trace beside it.
BESIDE_WRAPPED = frozenset({"metrics", "status", "message"})

# What others hold, by a plain name that only they have; the first that fits is told.
SIGNALS = {
    "resourcelogs": "OTLP logs",
    "scopelogs": "OTLP logs",
    "logrecords": "OTLP logs",
    "resourcemetrics": "OTLP metrics",
    "scopemetrics": "OTLP metrics",
    "datapoints": "OTLP metrics",
    "resourceprofiles": "OTLP profiles",
    "scopeprofiles": "OTLP profiles",
}


def foreign(keys: Collection[str], text: str) -> ForeignContentError:
    """Give the error that says what an object without any of our names seems to be.

    Args:
        keys: its keys.
        text: all of it.

    """
    plain = {plain_name(key) for key in keys}
    for name, signal in SIGNALS.items():
        if name in plain:
            return ForeignContentError(f"it holds {signal}; {WANTED}")
    kind = _kind({*keys}, plain, text)
    return ForeignContentError(f"it seems to be {kind}; {WANTED}", kind=kind)


def _kind(keys: set[str], plain: set[str], text: str) -> str:
    """Say what an object is that is no OTLP request."""
    if "traceID" in keys or ("data" in keys and '"traceID"' in text):
        return "Jaeger's JSON"
    if {"traceId", "id"} <= keys and not keys & {"spanId", "resource"}:
        return "Zipkin's JSON"
    if {"name", "context"} <= keys:
        return "a span as an SDK's console exporter prints it"
    if {"traceid", "spanid"} <= plain:
        return "a span of OTLP/JSON without the resource and the scope around it"
    names = ", ".join(map(shown, sorted(keys)[:MAX_KEYS]))
    return f"an object with {names} and without resourceSpans"
