from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.settings import Encoding
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.annotation.vectors import ENCODERS
from otel_embedder.embedder.embedding import Embedding, Source
from tests.support.otlp_samples import NOTHING, Value, field, messages, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from otel_embedder.embedder.embedding import Vector

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)

DIRECTION: Vector = np.random.default_rng(1).standard_normal(384).astype(np.float32)

UNIT: Vector = DIRECTION / np.linalg.norm(DIRECTION)

OURS: Mapping[str, Value] = {
    "embedding.vector": [0.6, -0.8],
    "embedding.model_name": "a-model",
    "embedding.source": "model",
    "embedding.text_version": "1",
}


def annotator(
    *,
    model: str = "a-model",
    text_version: str = "1",
    encoding: Encoding = "array",
    prefix: str = "embedding.",
    attach_text: bool = False,
    dimension: int | None = None,
) -> Annotator:
    origin = Origin(model, text_version, dimension)
    return Annotator(
        origin, encoding=encoding, prefix=prefix, attach_text=attach_text, max_remembered=100
    )


def embedding(model: str = "a-model", source: Source = "model") -> Embedding:
    return Embedding(UNIT, model, source)


def decoded(attributes: bytes) -> dict[str, AnyValue]:
    """Read encoded attributes as any other reader of OTLP would."""
    read = Span.FromString(attributes)
    assert [described.name for described, _ in read.ListFields()] == ["attributes"]
    return {attribute.key: attribute.value for attribute in read.attributes}


def vector_in(value: AnyValue) -> Vector:
    match value.WhichOneof("value"):
        case "array_value":
            return np.array([each.double_value for each in value.array_value.values], np.float32)
        case "bytes_value":
            return np.frombuffer(value.bytes_value, "<f4")
        case _:
            return np.frombuffer(base64.b64decode(value.string_value, validate=True), "<f4")


def standing(attributes: Mapping[str, Value], by: Annotator | None = None) -> Standing:
    made = span(attributes={"http.method": "GET", **attributes})
    return (by or annotator()).standing(made.SerializeToString())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_very_vector_back(encoding: Encoding) -> None:
    attributes = annotator(encoding=encoding).attributes(embedding(), "a text")

    vector = vector_in(decoded(attributes)["embedding.vector"])
    assert vector.tobytes() == UNIT.tobytes()


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [("array", "array_value"), ("bytes", "bytes_value"), ("base64", "string_value")],
)
def test_every_encoding_is_of_its_kind(encoding: Encoding, kind: str) -> None:
    attributes = annotator(encoding=encoding).attributes(embedding(), "a text")

    assert decoded(attributes)["embedding.vector"].WhichOneof("value") == kind


def test_an_array_holds_doubles() -> None:
    value = decoded(annotator().attributes(embedding(), "a text"))["embedding.vector"]

    assert {each.WhichOneof("value") for each in value.array_value.values} == {"double_value"}
    assert len(value.array_value.values) == 384


def test_base64_of_384_values_is_no_longer_than_tempo_takes() -> None:
    value = decoded(annotator(encoding="base64").attributes(embedding(), ""))["embedding.vector"]

    assert len(value.string_value) == 2_048


def test_every_encoding_can_be_chosen() -> None:
    assert ENCODERS.keys() == set(ENCODINGS)


def test_the_attributes_come_by_name_and_in_order() -> None:
    attributes = decoded(annotator().attributes(embedding(), "a text"))

    assert [*attributes] == [
        "embedding.vector",
        "embedding.model_name",
        "embedding.source",
        "embedding.text_version",
        "embedding.text_id",
    ]
    assert [value.string_value for value in attributes.values()] == [
        *("", "a-model", "model", "1"),
        # SHA-256 of "a-model\0" "1\0" "a text"
        hashlib.sha256(b"a-model\x001\x00a text").hexdigest()[:16],
    ]


def test_who_reads_alike_has_one_id_whatever_made_the_vector() -> None:
    by = annotator()
    noise = Embedding(embedding().vector, "fallback-sha256", "fallback")
    ids = [
        decoded(by.attributes(each, text))["embedding.text_id"].string_value
        for each, text in ((embedding(), "a"), (noise, "a"), (embedding(), "b"))
    ]

    assert ids[0] == ids[1] != ids[2]


def test_another_model_or_version_makes_another_id() -> None:
    ids = {
        decoded(by.attributes(embedding(), "a"))["embedding.text_id"].string_value
        for by in (annotator(), annotator(model="another"), annotator(text_version="2"))
    }

    assert len(ids) == 3


def test_a_span_that_was_not_rendered_has_no_text_id() -> None:
    assert "embedding.text_id" not in decoded(annotator().attributes(embedding(), None))


def test_half_a_surrogate_is_no_reason_for_no_id() -> None:
    attributes = decoded(annotator().attributes(embedding(), "a \ud83d"))

    assert len(attributes["embedding.text_id"].string_value) == 16


def test_the_text_is_attached_on_request() -> None:
    attributes = decoded(annotator(attach_text=True).attributes(embedding(), "Grüße ✓"))

    assert attributes["embedding.text"].string_value == "Grüße ✓"


def test_every_name_begins_with_the_prefix() -> None:
    by = annotator(prefix="acme.ai/", attach_text=True)

    attributes = decoded(by.attributes(embedding(), "a text"))

    assert {name.removeprefix("acme.ai/") for name in attributes} == {
        *("vector", "model_name", "source", "text_version", "text_id", "text")
    }


def test_a_stand_in_says_that_it_is_one() -> None:
    stand_in = embedding("fallback-sha256", "fallback")

    attributes = decoded(annotator().attributes(stand_in, "a text"))

    assert attributes["embedding.source"].string_value == "fallback"
    assert attributes["embedding.model_name"].string_value == "fallback-sha256"


def test_an_embedding_that_recurs_is_encoded_once() -> None:
    by, one = annotator(), embedding()

    assert by.attributes(one, "a text") is by.attributes(one, "a text")


def test_another_embedding_or_text_has_its_own_attributes() -> None:
    by, one = annotator(attach_text=True), embedding()

    attributes = {
        by.attributes(one, "a text"),
        by.attributes(one, "another text"),
        by.attributes(embedding("another-model"), "a text"),
        by.attributes(embedding("a-model", "fallback"), "a text"),
    }

    assert len(attributes) == 4


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_attached_is_current(encoding: Encoding) -> None:
    by = annotator(encoding=encoding, attach_text=True)
    encoded = span().SerializeToString() + by.attributes(embedding(), "a text")

    assert by.standing(encoded) is Standing.CURRENT


def test_a_stand_in_that_was_attached_is_known_for_one() -> None:
    by = annotator()
    attributes = by.attributes(embedding("fallback-sha256", "fallback"), "a text")

    assert by.standing(span().SerializeToString() + attributes) is Standing.STAND_IN


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"embedding": "a", "embedding.": "b", "embedding.vectors": "c"},
        {"http.url": "/embedding.vector", "k": ["embedding.vector"]},
        {"embedding.vector ": [0.5], " embedding.text_version": "1", "embedding.text\n": ""},
        {"embedding.embeddings.0.embedding.vector": [0.5]},
    ],
    ids=["nothing", "look-alikes", "values", "with spaces", "nested names"],
)
def test_a_span_without_any_of_our_names_has_none(attributes: Mapping[str, Value]) -> None:
    assert standing(attributes) is Standing.NONE


@pytest.mark.parametrize(
    "changed",
    [
        {"embedding.model_name": "another-model"},
        {"embedding.model_name": None},
        {"embedding.text_version": "2"},
        {"embedding.text_version": 1},
    ],
    ids=["model", "no model", "text version", "number"],
)
def test_what_we_would_make_otherwise_is_outdated(changed: Mapping[str, Value]) -> None:
    assert standing({**OURS, **changed}) is Standing.OUTDATED


@pytest.mark.parametrize(
    "changed",
    [
        {"embedding.source": "fallback", "embedding.model_name": "fallback-sha256"},
        {"embedding.source": "fallback"},
        {"embedding.source": None},
    ],
    ids=["stand-in", "a stand-in's source", "no source"],
)
def test_what_is_no_models_vector_is_a_stand_in(changed: Mapping[str, Value]) -> None:
    assert standing({**OURS, **changed}) is Standing.STAND_IN


@pytest.mark.parametrize("missing", ["embedding.vector", "embedding.source"])
def test_what_is_ours_and_incomplete_is_no_better_than_a_stand_in(missing: str) -> None:
    assert standing({key: OURS[key] for key in OURS if key != missing}) is Standing.STAND_IN


@pytest.mark.parametrize(
    "attributes",
    [
        {"embedding.vector": [0.5]},
        {"embedding.vector": [0.5], "embedding.model_name": "a-model", "embedding.text": "a"},
        {"embedding.model_name": "text-embedding-3-small"},
    ],
    ids=["a vector", "a vector of OpenInference", "a model's name alone"],
)
def test_what_has_no_text_version_is_somebody_elses(attributes: Mapping[str, Value]) -> None:
    assert standing(attributes) is Standing.FOREIGN


def test_another_prefix_makes_other_names_ours() -> None:
    by = annotator(prefix="acme.")

    assert standing(OURS, by) is Standing.NONE
    assert standing({"acme.vector": [0.5]}, by) is Standing.FOREIGN


@pytest.mark.parametrize("prefix", ["a  b.", "a\n", " "])
def test_we_know_our_own_whatever_the_prefix(prefix: str) -> None:
    by = annotator(prefix=prefix)
    encoded = span().SerializeToString() + by.attributes(embedding(), "a text")

    assert by.standing(encoded) is Standing.CURRENT
    assert by.stripped(encoded) == span().SerializeToString()


def test_a_key_that_is_not_utf_8_is_not_ours() -> None:
    by = annotator()
    encoded = field(9, field(1, b"embedding.vector\xff") + field(2, field(1, b"a")))

    assert by.standing(encoded) is Standing.NONE
    assert by.stripped(encoded) == encoded


def test_what_is_not_a_span_has_no_standing() -> None:
    with pytest.raises(DecodeError):
        annotator().standing(b"\x4a\x7fembedding.")


@settings(deadline=None)
@given(messages(Span, depth=5, unknown=True))
def test_a_span_stripped_of_our_attributes_is_what_it_was(made: Span) -> None:
    by = annotator(attach_text=True)
    encoded = made.SerializeToString() + by.attributes(embedding(), "a text")

    stripped = Span.FromString(by.stripped(encoded))

    assert stripped.SerializeToString() == made.SerializeToString()


def test_only_our_own_attributes_are_stripped() -> None:
    kept: Mapping[str, Value] = {
        "embedding": "a",
        "embedding.vectors": "b",
        "embedding.vector ": "c",
        "http.url": "/embedding.vector",
    }
    made = span(attributes={**OURS, **kept, "embedding.text": "a text"})

    stripped = Span.FromString(annotator().stripped(made.SerializeToString()))

    assert stripped == span(attributes=kept)


@pytest.mark.parametrize("attributes", [NOTHING, {"a": 1}])
def test_a_span_without_our_attributes_is_not_changed(attributes: Mapping[str, Value]) -> None:
    made = span(attributes=attributes)

    assert Span.FromString(annotator().stripped(made.SerializeToString())) == made


def test_what_is_stripped_can_be_annotated_anew() -> None:
    old, new = annotator(text_version="1"), annotator(text_version="2")
    encoded = span().SerializeToString() + old.attributes(embedding(), "a text")

    again = new.stripped(encoded) + new.attributes(embedding(), "a text")

    assert new.standing(again) is Standing.CURRENT
    assert len(Span.FromString(again).attributes) == 5


def current(vector: Value) -> bytes:
    """Give a span that carries this as the vector that we would make."""
    return span(attributes={**OURS, "embedding.vector": vector}).SerializeToString()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_vector_of_ours_is_read_whatever_its_encoding(encoding: Encoding) -> None:
    attributes = annotator(encoding=encoding).attributes(Embedding(UNIT, "a-model", "model"), "")
    by = annotator(encoding="array")

    vector = by.vector(span().SerializeToString() + attributes, dimension=384)

    assert vector is not None
    assert vector.dtype == np.float32
    assert vector.tobytes() == UNIT.tobytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"embedding.model_name": "another-model"},
        {"embedding.text_version": "2"},
        {"embedding.source": "fallback"},
    ],
    ids=["another model", "another text", "stand-in"],
)
def test_a_vector_that_we_would_not_make_is_not_read(changed: Mapping[str, Value]) -> None:
    made = span(attributes={**OURS, "embedding.vector": [0.6, 0.8], **changed})

    assert annotator().vector(made.SerializeToString(), dimension=2) is None


def test_somebody_elses_vector_is_not_read() -> None:
    made = span(attributes={"embedding.vector": [0.6, 0.8], "embedding.model_name": "a-model"})

    assert annotator().vector(made.SerializeToString(), dimension=2) is None


def test_a_span_without_a_vector_gives_none() -> None:
    assert annotator().vector(span().SerializeToString(), dimension=2) is None


DAMAGED: list[Value] = [
    [1.0],
    [0.6, 0.8, 0.0],
    [0.6, float("nan")],
    [0.6, float("inf")],
    [1e300, 0.8],
    [0.0, 0.0],
    [3.0, 4.0],
    [1, 0],
    ["0.6", "0.8"],
    ["as long", "as both"],  # a string that takes as many bytes as a double
    [],
    UNIT[:2].tobytes()[:7],
    b"",
    "PygZP83MTD8",
    "[0.6, 0.8]",
    "ü",
    {"0": 0.6, "1": 0.8},
    0.6,
    None,
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=repr)
def test_a_damaged_vector_counts_as_none(damaged: Value) -> None:
    by = annotator(dimension=2)

    assert by.vector(current(damaged), dimension=2) is None
    assert by.standing(current(damaged)) is Standing.STAND_IN


@pytest.mark.parametrize("damaged", DAMAGED[2:], ids=repr)
@pytest.mark.parametrize(
    "changed", [{"embedding.model_name": "another"}, {"embedding.text_version": "2"}, {}], ids=repr
)
def test_a_damaged_vector_is_no_models_whatever_it_says_and_whatever_is_known(
    changed: Mapping[str, Value], damaged: Value
) -> None:
    assert standing({**OURS, "embedding.vector": damaged, **changed}) is Standing.STAND_IN


def test_another_models_vector_may_have_another_dimension() -> None:
    other = {**OURS, "embedding.vector": [1.0], "embedding.model_name": "another"}

    assert standing(other, annotator(dimension=2)) is Standing.OUTDATED


@pytest.mark.parametrize("name", ["vector", "model_name", "source", "text_version", "text"])
@pytest.mark.parametrize(
    "value", [[0.5, 0.5], [], [1], b"1", 0.5, {"a": 1}, None, "\u00fc" * 9], ids=repr
)
def test_whatever_an_attribute_of_ours_holds_the_span_has_a_standing(
    name: str, value: Value
) -> None:
    assert standing({**OURS, f"embedding.{name}": value}) in {*Standing}


@pytest.mark.parametrize(
    "whole", [[0.6, 0.8], np.array([0.6, 0.8], "<f4").tobytes(), "mpkZP83MTD8="], ids=repr
)
def test_a_whole_vector_of_any_encoding_counts(whole: Value) -> None:
    vector = annotator().vector(current(whole), dimension=2)

    assert vector is not None
    assert vector.tolist() == pytest.approx([0.6, 0.8])
