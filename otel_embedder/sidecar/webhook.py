"""Posts alerts to a URL, in a thread of its own: whoever is slow there costs nothing here.

What can't be posted is tried again for some minutes, and then left, with a line in the log. What
waits has a bound: beyond it alerts are left out, for the log has them all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from otel_embedder import __version__
from otel_embedder.search.asking.json_types import rfc3339
from otel_embedder.telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_embedder.sidecar.group_alerts import GroupAlert

WEBHOOK_FAILED = "webhook.failed"
WEBHOOK_FULL = "webhook.full"
SIGNATURE = "X-Otel-Embedder-Signature"

MAX_WAITING = 100
POST_SECONDS = 10.0
PATIENCE_SECONDS = 300.0
FIRST_WAIT_SECONDS = 1.0
MOST_WAIT_SECONDS = 60.0
# Slack cuts longer ones.
MAX_TITLE_CHARACTERS = 512

log = get_logger()


class WebhookTarget(NamedTuple):
    """Where alerts go, and in which form.

    Attributes:
        url: to which they are posted.
        form: json, slack or alertmanager.
        secret: signs them; empty: they are not signed.

    """

    url: str
    form: str
    secret: str


class _NoRedirects(HTTPRedirectHandler):
    """Takes a redirect for a refusal: it would lead a signed alert to somebody else."""

    def redirect_request(self, *_: object) -> None:
        """Give no other request."""


class Webhook:
    """Posts alerts, one after the other."""

    def __init__(self, target: WebhookTarget, *, first_wait: float = FIRST_WAIT_SECONDS) -> None:
        """Start.

        Args:
            target: where to, and how.
            first_wait: seconds after which it is tried again for the first time.

        """
        self._target = target
        self._first_wait = first_wait
        self._opener = build_opener(_NoRedirects)
        self._waiting: deque[GroupAlert] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._is_full = False
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def offer(self, alert: GroupAlert) -> None:
        """Post an alert when its turn has come; never waits."""
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                if not self._is_full:
                    log.warning(WEBHOOK_FULL, waiting=MAX_WAITING, doing="others are in the log")
                self._is_full = True
                return
            self._is_full = False
            self._waiting.append(alert)
            self._changed.notify()

    def close(self, timeout: float) -> None:
        """Post what waits, for so many seconds at most, and nothing a second time."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while (alert := self._next()) is not None:
            try:
                self._post_patiently(encoded(alert, self._target.form))
            except OSError as error:
                # Not the URL, which may have a secret in it.
                log.warning(WEBHOOK_FAILED, group=alert.id, error=_told(error))

    def _next(self) -> GroupAlert | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            return self._waiting.popleft() if self._waiting else None

    def _post_patiently(self, body: bytes) -> None:
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(self._first_wait, MOST_WAIT_SECONDS),
            stop=stop_after_delay(PATIENCE_SECONDS) | stop_when_event_set(self._closing),
            sleep=sleep_using_event(self._closing),
            reraise=True,
        )
        retrying(self._post, body)

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": f"otel-embedder/{__version__}"}
        if self._target.secret:
            headers[SIGNATURE] = signature(self._target.secret, body)
        # The settings take only http and https.
        request = Request(self._target.url, body, headers, method="POST")  # noqa: S310
        try:
            self._opener.open(request, timeout=POST_SECONDS).close()
        except HTTPError as error:
            error.close()  # which holds the connection
            raise


def signature(secret: str, body: bytes) -> str:
    """Give what proves that who knows the secret has sent a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def encoded(alert: GroupAlert, form: str) -> bytes:
    """Give an alert in one of FORMS, as JSON."""
    return json.dumps(FORMS[form](alert)).encode()


def _as_json(alert: GroupAlert) -> object:
    return {**alert._asdict(), "time": rfc3339(alert.time)}


def _as_slack(alert: GroupAlert) -> object:
    title = _escaped(alert.title[:MAX_TITLE_CHARACTERS])
    where = f"<{alert.link}|{alert.trace_id}>" if alert.link else alert.trace_id
    return {
        "text": f"{_heading(alert)} in *{_escaped(alert.service)}*: `{title}`\n"
        f"trace {where}, group {alert.id}"
    }


def _as_alertmanager(alert: GroupAlert) -> object:
    labels = {
        "alertname": "OtelEmbedderErrorGroup",
        "event": alert.event,
        "service": alert.service,
        "group": alert.id,
    }
    annotations = {
        "summary": f"{_heading(alert)} in {alert.service}",
        "description": alert.title,
        "trace_id": alert.trace_id,
    }
    told: dict[str, object] = {"labels": labels, "annotations": annotations}
    if alert.link:
        told["generatorURL"] = alert.link
    return [{**told, "startsAt": rfc3339(alert.time)}]


FORMS: dict[str, Callable[[GroupAlert], object]] = {
    "json": _as_json,
    "slack": _as_slack,
    "alertmanager": _as_alertmanager,
}


def _heading(alert: GroupAlert) -> str:
    return "New failure" if alert.event == "error-group.new" else "A failure came again"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")


def _may_pass(error: BaseException) -> bool:
    """Tell whether what failed may pass later."""
    if isinstance(error, HTTPError):
        return error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in {
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
        }
    return isinstance(error, OSError)


def _told(error: OSError) -> str:
    if isinstance(error, HTTPError):
        return f"it answered {error.code}"
    return f"{type(error).__name__}: {getattr(error, 'reason', error)}"
