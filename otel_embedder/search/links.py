"""Where a trace can be looked at: the address in whatever keeps it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    TraceLink = Callable[[str, str], str]

TRACE_ID, SPAN_ID = "{trace_id}", "{span_id}"

# Grafana's Explore takes what it shows as JSON. A pattern of one's own names another data source.
_GRAFANA_PANE = {
    "trace": {
        "datasource": "tempo",
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "tempo", "uid": "tempo"},
                "queryType": "traceql",
                "query": TRACE_ID,
            }
        ],
    }
}
_GRAFANA = quote(json.dumps(_GRAFANA_PANE, separators=(",", ":")), safe="{}")
# Braces that are not ours would be taken for it.
_GRAFANA = _GRAFANA.replace("{", "%7B").replace("}", "%7D").replace("%7Btrace_id%7D", TRACE_ID)

BY_NAME = {
    "tempo": f"/api/traces/{TRACE_ID}",
    "jaeger": f"/trace/{TRACE_ID}?uiFind={SPAN_ID}",
    "grafana": f"/explore?schemaVersion=1&panes={_GRAFANA}",
    "signoz": f"/trace/{TRACE_ID}?spanId={SPAN_ID}",
    "zipkin": f"/zipkin/traces/{TRACE_ID}",
}


def link_pattern(setting: str) -> str:
    """Give the pattern that a setting stands for: a URL with {trace_id}, perhaps with {span_id}.

    Args:
        setting: such a pattern, or a name of BY_NAME, `=` and the address.

    Raises:
        ValueError: it is neither; says what would do.

    """
    name, equals, base = setting.partition("=")
    if equals and name in BY_NAME:
        _check_address(base)
        return base.rstrip("/") + BY_NAME[name]
    _check_address(setting)
    if TRACE_ID not in setting:
        raise ValueError(
            f"lacks {TRACE_ID}, which is where a trace's id goes, such as "
            f"https://traces.example/trace/{TRACE_ID}; or is to be one of {', '.join(BY_NAME)} "
            "with the address, such as jaeger=https://jaeger.example"
        )
    return setting


def check_trace_link(setting: str) -> str:
    """Give a setting as it is.

    Raises:
        ValueError: no link can be made by it.

    """
    link_pattern(setting)
    return setting


def trace_link(setting: str | None) -> TraceLink:
    """Give what makes the link to a trace, and to a span in it, of their ids in hex.

    Without a setting all links are empty.

    Raises:
        ValueError: the setting is none.

    """
    pattern = "" if setting is None else link_pattern(setting)
    return lambda trace_id, span_id: pattern.replace(TRACE_ID, trace_id).replace(SPAN_ID, span_id)


def _check_address(url: str) -> None:
    # Whatever else a browser would follow, such as javascript:, is no place where traces are.
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"must begin with http:// or https:// and a host, not be {url!r}")
