"""Spans that carry a vector already, and words that must not get into a text."""

from __future__ import annotations

import math
import struct
from random import Random
from string import ascii_letters, digits
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.text.options import RENDERER_VERSION
from tests.faults.fault import fault
from tests.support.comparison import DIMENSION
from tests.support.otlp_samples import request, span

if TYPE_CHECKING:
    from tests.faults.next_hop import Answer, Arrival
    from tests.faults.stage import Stage
    from tests.support.otlp_samples import Value

WHOLE = [1.0, *[0.0] * (DIMENSION - 1)]
# What becomes of a vector on its way: limits of attributes, a store of strings, a bad disk.
DAMAGED: dict[str, Value] = {
    "cut": WHOLE[:200],
    "empty": [],
    "an empty string": "",
    "nothing": None,
    "of zeros": [0.0] * DIMENSION,
    "of NaN": [math.nan] * DIMENSION,
    "endless": [math.inf, *WHOLE[1:]],
    "not of unit length": [2.0, *WHOLE[1:]],
    "of strings": ["1.0", *["0.0"] * (DIMENSION - 1)],
    "cut bytes": struct.pack("<100f", *WHOLE[:100]),
    "cut base64": "AACAPwAAAAAAAAAA",
}
TEXT = "embedding.text"
TOKEN_LETTERS = 40
SEEN_LETTERS = 8
# How the tokens of some makers begin, whom a list may not have.
MARKS = (
    *("dckr_pat_", "gsk_", "lsv2_pt_", "r8_", "sntrys_", "sbp_", "phc_", "figd_", "bkua_", "nfp_"),
    *("newmaker_", "new_maker_v2_", "another-maker-"),
)


@fault("vector: damaged ones of ours are made anew")
def damaged_vectors(stage: Stage) -> None:
    encoded = [
        request(span(f"damaged {name}", _ours(vector))).SerializeToString()
        for name, vector in DAMAGED.items()
    ]
    with stage.next_hop, stage.sidecar():
        statuses = {stage.send_once(each).status for each in encoded}
    assert statuses == {"OK"}, statuses
    sources = stage.ledger.account().sources
    assert set(sources) == {"model"}, f"vectors from {dict(sources)}"


def _ours(vector: Value) -> dict[str, Value]:
    return {
        "embedding.vector": vector,
        "embedding.model_name": "all-MiniLM-L6-v2",
        "embedding.source": "model",
        "embedding.text_version": str(RENDERER_VERSION),
    }


@fault("secret: tokens of makers that nobody knows")
def unknown_tokens(stage: Stage) -> None:
    random = Random(1)
    tokens = {
        mark: "".join(random.choices(ascii_letters + digits, k=TOKEN_LETTERS)) for mark in MARKS
    }
    texts: list[str] = []
    stage.next_hop.usual = _take_without_texts(texts)
    with stage.next_hop, stage.sidecar("--attach-text"):
        for mark, token in tokens.items():
            attributes: dict[str, Value] = {"note": f"pulled with {mark}{token} by ci"}
            stage.send_once(request(span(f"pull {mark}", attributes)).SerializeToString())
    seen = [
        mark
        for mark, token in tokens.items()
        for start in range(TOKEN_LETTERS - SEEN_LETTERS)
        if any(token[start : start + SEEN_LETTERS] in text for text in texts)
    ]
    assert len(texts) == len(MARKS)
    assert not seen, f"in texts there are parts of {', '.join(dict.fromkeys(seen))}"


def _take_without_texts(texts: list[str]) -> Answer:
    """Take all spans, and keep the texts that stand beside their vectors."""

    def answer(arrival: Arrival) -> bytes:
        came = ExportTraceServiceRequest.FromString(arrival.request)
        for one in came.resource_spans[0].scope_spans[0].spans:
            [place] = [n for n, each in enumerate(one.attributes) if each.key == TEXT]
            texts.append(one.attributes.pop(place).value.string_value)
        arrival.ledger.came(came.SerializeToString())
        return b""

    return answer
