from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from otel_embedder.search.links import BY_NAME, check_trace_link, trace_link

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


@pytest.mark.parametrize(
    ("setting", "link"),
    [
        ("https://x.example/t/{trace_id}", f"https://x.example/t/{TRACE}"),
        ("http://x/{trace_id}?s={span_id}&a=b", f"http://x/{TRACE}?s={SPAN}&a=b"),
        ("jaeger=http://j:16686", f"http://j:16686/trace/{TRACE}?uiFind={SPAN}"),
        ("tempo=https://tempo.example/", f"https://tempo.example/api/traces/{TRACE}"),
        ("signoz=https://s.example/base", f"https://s.example/base/trace/{TRACE}?spanId={SPAN}"),
        ("zipkin=http://z:9411", f"http://z:9411/zipkin/traces/{TRACE}"),
        (None, ""),
    ],
)
def test_a_link_leads_to_the_trace(setting: str | None, link: str) -> None:
    assert trace_link(setting)(TRACE, SPAN) == link


def test_grafana_s_link_opens_the_trace_in_explore() -> None:
    link = urlsplit(trace_link("grafana=https://g.example")(TRACE, SPAN))

    assert (link.netloc, link.path) == ("g.example", "/explore")
    [panes] = parse_qs(link.query)["panes"]
    [query] = json.loads(panes)["trace"]["queries"]
    assert query["query"] == TRACE
    assert "{" not in link.query


@pytest.mark.parametrize("name", BY_NAME)
def test_every_name_makes_a_link_that_can_be_set(name: str) -> None:
    setting = f"{name}=https://x.example"

    assert check_trace_link(setting) == setting
    assert TRACE in trace_link(setting)(TRACE, "")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("https://x.example/trace/", "lacks {trace_id}"),
        ("https://x.example/{span_id}", "lacks {trace_id}"),
        ("jaeger", "must begin with http:// or https://"),
        ("jaeger=", "must begin with http:// or https://"),
        ("jaeger=j:16686", "must begin with http:// or https://"),
        ("javascript:alert('{trace_id}')", "must begin with http:// or https://"),
        ("https://", "must begin with http:// or https://"),
        ("", "must begin with http:// or https://"),
    ],
)
def test_what_is_no_link_is_refused(setting: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("{", r"\{")):
        check_trace_link(setting)
