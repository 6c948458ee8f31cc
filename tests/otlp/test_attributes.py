from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.settings import Encoding
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.otlp.attributes import JSON, PROTOBUF, Syntax

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
VECTOR = np.random.default_rng(1).standard_normal(384).astype(np.float32)


def annotator(
    syntax: Syntax, encoding: Encoding = "array", prefix: str = "embedding."
) -> Annotator:
    return Annotator(
        Origin("a-model", "1"),
        encoding=encoding,
        prefix=prefix,
        attach_text=True,
        max_remembered=100,
        syntax=syntax,
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ['Grüße ✓ 😀 "quoted"\\', "\t\n\x00"])
@pytest.mark.parametrize("prefix", ["embedding.", 'a "ü" '])
def test_json_says_what_protobuf_says(encoding: Encoding, text: str, prefix: str) -> None:
    embedding = Embedding(VECTOR, "a-model", "model")
    written = annotator(JSON, encoding, prefix).attributes(embedding, text)
    span = ParseDict({"attributes": json.loads(b"[%b]" % written)}, Span())

    expected = annotator(PROTOBUF, encoding, prefix).attributes(embedding, text)
    assert span == Span.FromString(expected)


def test_json_is_written_without_a_space_or_a_line_feed() -> None:
    written = annotator(JSON).attributes(Embedding(VECTOR, "a-model", "model"), "a\ntext")

    assert b"\n" not in written
    assert (
        written == json.dumps(json.loads(b"[%b]" % written), separators=(",", ":")).encode()[1:-1]
    )


@pytest.mark.parametrize("syntax", [JSON, PROTOBUF], ids=["JSON", "protobuf"])
def test_an_array_takes_about_as_much_as_is_said(syntax: Syntax) -> None:
    size = len(b"".join(syntax.doubles(VECTOR)))

    assert abs(size / (len(VECTOR) * syntax.double_bytes) - 1) < 0.05
