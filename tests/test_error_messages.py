"""Every message of an error is in docs/errors.md, and means there what it does here."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_embedder.cli import run
from tests.support.error_tables import (
    REMEDIES,
    SECTIONS,
    ending_of,
    error_tables,
    section_of,
    told,
)
from tests.support.messages import CLICKS, OURS, PACKAGE, messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCUMENT = (Path(__file__).parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
# Where an error hands on what another has said: its words stand there.
HANDING_ON = {
    *("api.client", "api.querying", "cli.page"),
    *(
        "cli.annotate",
        "cli.parts.arguments",
        "cli.parts.queries",
        "credentials.tls_files",
        "embedder.models.bert",
    ),
    *("embedder.models.reviving", "embedder.worker", "errors", "exporter.delivery"),
    *("exporter.exporter", "files.trace_files", "credentials.tokens", "settings"),
    *("sidecar.own_telemetry", "text.profiles.profile", "sidecar.workers.supervisor"),
}
METRICS = '{"resourceMetrics": []}'


def raised_words() -> Iterator[str]:
    """Give the words in the source that errors of ours are raised with."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Raise(
                    exc=ast.Call(
                        func=ast.Name(id=error) | ast.Attribute(attr=error), args=[first, *_]
                    )
                ) if error in OURS | CLICKS:
                    yield from strings_in(first)


def strings_in(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values) | ast.List(elts=values):
            for value in values:
                yield from strings_in(value)


@pytest.mark.parametrize("words", sorted({*raised_words()}))
def test_what_an_error_is_raised_with_is_in_the_document(words: str) -> None:
    assert " ".join(words.split()) in DOCUMENT


def test_the_document_is_current() -> None:
    assert error_tables() in DOCUMENT


def test_only_those_hand_on_what_another_said_that_are_known_to() -> None:
    assert {message.module for message in messages() if message.is_handed_on} == HANDING_ON


def test_every_message_has_a_section_and_every_remedy_a_message() -> None:
    assert {section_of(message) for message in told()} <= {*SECTIONS}
    unused = {text for text in REMEDIES if not any(each.text.startswith(text) for each in told())}
    assert unused == set()


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        (["render", "FILE"], METRICS),
        (["render", "FILE"], '{"resourceSpans": 5}'),
        (["render", "FILE"], '{"resourceSpans": ['),
        (["render", "FILE"], "some text\n"),
        (["render", "FILE", "--form", "jaeger"], '{"data": 5}'),
        (["render", "FILE", "--config", "FILE"], "listen: [\n"),
        (["render", "FILE", "--config", "FILE"], "lisen: a\n"),
        (["render", "FILE", "--template", "{who}", "--profile", "template"], "{}"),
        (["render", "FILE", "--profile", "FILE"], "5\n"),
        (["annotate", "FILE", "-o", "-"], "{}"),
        (["annotate", "FILE", "-o", "FILE"], "{}"),
        (["annotate", "FILE", "-o", "none/out"], "{}"),
        (["nearest", "FILE"], "{}"),
        (["nearest", "FILE", "--to-span", "5"], "{}"),
        (["compare", "a", "b", "--in", "FILE"], "{}"),
        (["serve", "--next-hop", "localhost"], ""),
        (["serve", "--next-hop", "http://localhost:4318/v1/traces"], ""),
        (["serve", "--listen", "0.0.0.0:4327"], ""),
        (["serve", "--listen", "127.0.0.1:4337"], ""),
        (["serve", "--tls-key", "FILE"], ""),
        (["send", "FILE", "--to", "nowhere"], "{}"),
        (["render", "FILE", "--profile", "none"], "{}"),
        (["sreve"], ""),
    ],
)
def test_what_is_said_is_in_the_document_with_its_exit_code(
    arguments: Sequence[str],
    content: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text(content, encoding="utf-8")

    code = run(arguments)

    said = " ".join(capsys.readouterr().err.split())
    found = [each for each in told() if each.pattern().search(said)]
    assert code != 0
    assert str(code) in {ending_of(each) for each in found}, said
    for each in found:
        assert re.sub(r"\s+", " ", each.text) in DOCUMENT
