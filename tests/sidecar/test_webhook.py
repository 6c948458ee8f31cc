from __future__ import annotations

import json
import time

import pytest
from structlog.testing import capture_logs

from otel_embedder.sidecar.group_alerts import GROUP_NEW, GROUP_REGRESSED, GroupAlert
from otel_embedder.sidecar.webhook import (
    MAX_WAITING,
    WEBHOOK_FAILED,
    WEBHOOK_FULL,
    Webhook,
    WebhookTarget,
    encoded,
    signature,
)
from tests.support.fakes import PATIENCE
from tests.support.hooks import hook

pytestmark = pytest.mark.timeout(120)

ALERT = GroupAlert(
    GROUP_NEW,
    id="9c1d4e",
    title="no card of <*> & co",
    service="bank",
    time=1_700_000_040_000_000_000,
    trace_id="ab" * 16,
    link="https://traces.example/ab",
    silent_seconds=0,
    was_resolved=False,
)


def posting(url: str, *, secret: str = "", form: str = "json") -> Webhook:
    return Webhook(WebhookTarget(url, form, secret), first_wait=0.01)


def test_an_alert_is_posted_once_and_signed() -> None:
    with hook() as server:
        webhook = posting(server.url, secret="hush")  # noqa: S106
        webhook.offer(ALERT)
        server.wait()
        webhook.close(PATIENCE)

    [(body, signed)] = server.posts
    assert json.loads(body) == {
        **ALERT._asdict(),
        "time": "2023-11-14T22:14:00.000Z",
    }
    assert signed == signature("hush", body)
    # As `printf body | openssl dgst -sha256 -hmac key` has it.
    assert signature("key", b"body") == (
        "sha256=515aae133b435d4000956731f68ae5cf5eb85d4f0dc6a546d2bfcd3595ec1ae1"
    )


def test_what_may_pass_later_is_posted_again_and_what_is_refused_is_not() -> None:
    with hook(503, 429, 200, 400, 302) as server, capture_logs() as lines:
        webhook = posting(server.url)
        for _ in range(3):
            webhook.offer(ALERT)
        server.wait(5)
        webhook.close(PATIENCE)

    assert len(server.posts) == 5
    assert [signed for _, signed in server.posts] == [None] * 5
    assert [line["error"] for line in lines] == ["it answered 400", "it answered 302"]
    assert {line["event"] for line in lines} == {WEBHOOK_FAILED}


def test_a_hook_that_hangs_keeps_nobody_waiting_and_what_waits_has_a_bound() -> None:
    with hook() as server, capture_logs() as lines:
        server.may_answer.clear()
        webhook = posting(server.url)
        webhook.offer(ALERT)
        server.wait()
        began = time.monotonic()
        for _ in range(MAX_WAITING + 9):
            webhook.offer(ALERT)
        webhook.close(0.01)
        took = time.monotonic() - began
        server.may_answer.set()
        server.wait(MAX_WAITING)

    assert took < 5
    assert [line["event"] for line in lines] == [WEBHOOK_FULL]


def test_a_hook_that_is_away_is_given_up_in_the_end() -> None:
    with hook() as server:
        url = server.url
    with capture_logs() as lines:
        webhook = posting(url)
        webhook.offer(ALERT)
        webhook.close(PATIENCE)

    [line] = lines
    assert line["event"] == WEBHOOK_FAILED
    assert url not in str(line)


def test_other_forms_are_those_of_slack_and_alertmanager() -> None:
    slack = json.loads(encoded(ALERT, "slack"))
    [alertmanager] = json.loads(encoded(ALERT._replace(event=GROUP_REGRESSED), "alertmanager"))

    assert slack == {
        "text": "New failure in *bank*: `no card of &lt;*&gt; &amp; co`\n"
        f"trace <https://traces.example/ab|{'ab' * 16}>, group 9c1d4e"
    }
    assert alertmanager == {
        "labels": {
            "alertname": "OtelEmbedderErrorGroup",
            "event": GROUP_REGRESSED,
            "service": "bank",
            "group": "9c1d4e",
        },
        "annotations": {
            "summary": "A failure came again in bank",
            "description": "no card of <*> & co",
            "trace_id": "ab" * 16,
        },
        "generatorURL": "https://traces.example/ab",
        "startsAt": "2023-11-14T22:14:00.000Z",
    }
    assert "generatorURL" not in json.loads(encoded(ALERT._replace(link=""), "alertmanager"))[0]
