"""Spans with a secret in them, in every kind of place that a text is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel_embedder.text.purse import SPAN_BYTES
from otel_embedder.text.values import MAX_BYTES
from tests.support.otlp_samples import event, span

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.support.otlp_samples import Value

# Letters alone: `masks` would take digits away, whether they are secret or not.
SECRET = "swordfish"  # noqa: S105 - for tests
CARD = "4111 1111 1111 1111"
JWT = f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}"
GITHUB = f"ghp_{SECRET * 4}"

ATTRIBUTES: dict[str, dict[str, Value]] = {
    "header": {"http.request.header.authorization": f"Bearer {SECRET}"},
    "headers": {"http.response.header.set-cookie": [f"a={SECRET}; Path=/", "b=c"]},
    "camel case": {"openaiApiKey": SECRET},
    "bytes": {"client.secret": SECRET.encode()},
    "key-values": {"headers": {"Accept": "a", "Authorization": f"Basic {SECRET}"}},
    "deep nest": {"a": [{"b": [{"password": SECRET}]}]},
    "key-values behind a secret's name": {"session": {"a": {"b": [SECRET]}}},
    "name and value": {"environment": [{"name": "DB_PASSWORD", "value": SECRET}]},
    "array": {"process.command_args": ["mysql", "--password", SECRET, "-u", "ann"]},
    "command line": {"process.command_line": f"mysql --password {SECRET} -u ann"},
    "JSON": {"http.request.body": f'{{"user":"ann","password":"{SECRET}"}}'},
    "JSON in JSON": {"body": f'{{"body":"{{\\"token\\":\\"{SECRET}\\"}}"}}'},
    "query": {"url.query": f"a=b&access_token={SECRET}&c=d"},
    "URL": {"url.full": f"https://ann:{SECRET}@shop.example/"},
    "connection string": {"db.address": f"Server=db;User=ann;Password={SECRET}"},
    "headers on end": {"raw": f"Host: a\r\nCookie: b={SECRET}; c={SECRET}\r\nAccept: d"},
    "JWT": {"note": f"with {JWT}"},
    "token": {"note": f"with {GITHUB}"},
    "token in an array": {"notes": ["with", GITHUB]},
    "private key": {"note": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"},
    "lines of a private key": {"notes": ["-----BEGIN PRIVATE KEY-----", SECRET, SECRET]},
    "words of a header": {"process.command_args": ["curl", "-H", "Cookie:", f"a={SECRET};"]},
    "SQL": {"db.query.text": f"ALTER USER ann IDENTIFIED BY '{SECRET}'"},
    "Redis": {"db.query.text": f"HELLO 3 AUTH ann {SECRET} SETNAME web"},
    "Redis's users": {"db.query.text": f"ACL SETUSER ann on >{SECRET} ~*"},
    "Redis in an array": {"db.query.arguments": ["AUTH", "ann", SECRET]},
    "mail": {"smtp.command": f"AUTH PLAIN {SECRET}"},
    "files": {"ftp.command": f"PASS {SECRET}"},
    "bare words of SQL": {"db.query.text": f"SET PASSWORD FOR ann = {SECRET}"},
    "option of one letter": {"process.command_line": f"mysql -u ann -p{SECRET} shop"},
    "options in an array": {"process.command_args": ["redis-cli", "-a", SECRET, "ping"]},
    "curl": {"process.command_line": f"curl -u ann:{SECRET} https://shop.example"},
    "Oracle": {"db.connection": f"jdbc:oracle:thin:ann/{SECRET}@db:1521:shop"},
    "user": {"db.user": f"ann:{SECRET}"},
    "other languages": {"contraseña": SECRET, "Kennwort": SECRET, "пароль": SECRET},
    "end of a key": {"http.request.header.x-auth": SECRET, "login.totp_code": SECRET},
    "key": {JWT: 1},
    "card": {"note": CARD},
    "card as a number": {"note": int(CARD.replace(" ", ""))},
    "last of many": {**{str(number): 1 for number in range(500)}, "token": SECRET},
    "beyond what is read": {"a": ["b" * 100] * (SPAN_BYTES // 100), "token": SECRET * 2_000},
    "cut off": {"a": ["b" * 90] * 40 + [f"ghp_{SECRET * 100}"] * 10},
}


def failed(message: str = "", **exception: str) -> Span:
    events = [event(attributes={f"exception.{key}": words for key, words in exception.items()})]
    return span("pay", code=Status.STATUS_CODE_ERROR, message=message, events=events)


SPANS: dict[str, Span] = {
    **{kind: span("pay", attributes) for kind, attributes in ATTRIBUTES.items()},
    "name": span(f"GET /login?token={SECRET}"),
    "status message": failed(f"401 for Authorization: Bearer {SECRET}"),
    "exception's type": failed(type=f"Refused: {GITHUB}"),
    "command in an exception's message": failed(message=f"ERR called as AUTH ann {SECRET}"),
    "exception's message": failed(message=f"no user for postgres://ann:{SECRET}@db/shop"),
}


def cut_after(characters: int) -> Span:
    """Give a span with so many characters of a token; only these are read of its value.

    What stands before that shrinks to nothing, so that the end of what is read is in the text.
    """
    before = f"password={'a' * 3000} "
    before += f"password={'a' * (MAX_BYTES - len(before) - characters - len('password= '))} "
    return span("pay", {"note": f"{before}ghp_{SECRET * 100}"})
