from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin, Standing
from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.errors import EmbeddingFailedError, UnreadableFileError, UnwritableFileError
from otel_embedder.files.annotating import (
    MAX_WINDOW_BYTES,
    MAX_WINDOW_REQUESTS,
    FilesTally,
    SpanAnnotator,
    annotate_files,
    windows,
)
from otel_embedder.files.documents import ProtobufDocument, json_format, protobuf_format
from otel_embedder.files.named_forms import Form
from otel_embedder.files.requests import StoredRequest
from otel_embedder.files.resumable import OutputFile, OutputPaths
from otel_embedder.files.trace_files import TraceFiles
from otel_embedder.otlp.attributes import JSON
from otel_embedder.otlp.wire import Span, parse_request
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.comparison import spans_as_they_are, spans_in
from tests.support.compression import READERS
from tests.support.fakes import FAKE_MODEL, FakeModel, KnowingNothing, embedding_of
from tests.support.generated import requests_of_every_shape
from tests.support.otlp_json import otlp_json, otlp_line, spans_of
from tests.support.otlp_samples import UNKNOWN_FIELDS, Value, field, request, span
from tests.support.trace_files import requests_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_embedder.annotation.settings import Encoding
    from otel_embedder.embedder.embedding import Embedding, Model
    from otel_embedder.otlp.attributes import Syntax
    from tests.support.otlp_json import Fields

VERSION = RenderOptions(profile="template").version()
OURS: Mapping[str, Value] = {
    "embedding.vector": [0.6, -0.8],
    "embedding.model_name": FAKE_MODEL,
    "embedding.source": "model",
    "embedding.text_version": VERSION,
}
NAMES = [*OURS]
HAVING: Mapping[Standing, Mapping[str, Value]] = {
    Standing.NONE: {},
    Standing.CURRENT: OURS,
    Standing.OUTDATED: {**OURS, "embedding.model_name": "another"},
    Standing.STAND_IN: {**OURS, "embedding.source": "fallback"},
    Standing.FOREIGN: {"embedding.vector": [0.5]},
}
FORMS = ["JSON", "protobuf"]


@lru_cache
def requests() -> list[bytes]:
    return requests_of_every_shape(450)


def annotator(encoding: Encoding, syntax: Syntax | None = None) -> Annotator:
    return Annotator(
        Origin(FAKE_MODEL, VERSION),
        encoding=encoding,
        prefix="embedding.",
        attach_text=False,
        attach_text_id=False,
        max_remembered=100,
        syntax=syntax,
    )


def annotate(
    names: Sequence[Path],
    out: Path,
    *,
    model: Model | None = None,
    resume: bool = False,
    with_lengths: bool = True,
    encoding: Encoding = "bytes",
) -> FilesTally:
    """Annotate files, saving after each window."""
    tally, paths = FilesTally(), OutputPaths(out)
    start = paths.start({}, resume=resume, overwrite=False)
    with (
        BulkEmbedder(model or FakeModel(), threads=2, max_texts=100) as embedder,
        OutputFile(paths, start) as output,
    ):
        formats = {
            Form.JSON: json_format(annotator(encoding, JSON)),
            Form.PROTOBUF: protobuf_format(annotator(encoding), with_lengths=with_lengths),
        }
        annotate_files(
            TraceFiles([*map(str, names)], on_cut_off=print),
            SpanAnnotator(
                new_renderer(RenderOptions(profile="template")), embedder, formats, tally
            ),
            output,
            checkpoint_seconds=0,
            advance=lambda _: None,
        )
    return tally


def write(path: Path, encoded: Iterable[bytes], form: str) -> Path:
    """Write encoded requests to a file, as lines of JSON or behind their lengths."""
    path.write_bytes(b"".join(map(FRAMINGS[form], encoded)))
    return path


def with_length(encoded: bytes) -> bytes:
    return len(encoded).to_bytes(4) + encoded


def line(encoded: bytes) -> bytes:
    return otlp_line(ExportTraceServiceRequest.FromString(encoded))


FRAMINGS = {"JSON": line, "protobuf": with_length}


def read(path: Path) -> list[bytes]:
    return [*requests_in(path)]


def annotated(
    *encoded: bytes, form: str, directory: Path, encoding: Encoding = "array"
) -> list[bytes]:
    """Give requests as they come out."""
    annotate([write(directory / "in", encoded, form)], directory / "out", encoding=encoding)
    return read(directory / "out")


def stripped(request: Fields) -> Fields:
    """Take our attributes off a parsed request of OTLP/JSON."""
    for each in spans_of(request):
        kept = [pair for pair in each["attributes"] if not pair["key"].startswith("embedding.")]
        each["attributes"] = kept
        if not kept:
            del each["attributes"]
    return request


@pytest.mark.parametrize("form", FORMS)
def test_every_span_gets_the_vector_of_its_text(form: str, tmp_path: Path) -> None:
    sent = request(span("one"), span("two", {"a": "b"}))
    [came] = annotated(sent.SerializeToString(), form=form, directory=tmp_path)
    spans = ExportTraceServiceRequest.FromString(came).resource_spans[0].scope_spans[0].spans
    vectors = [each.attributes[-4].value.array_value.values for each in spans]
    texts = [
        "mahavishnu one UNSET in 2500ms attributes:",
        "mahavishnu two UNSET in 2500ms attributes: a=b",
    ]

    assert [[pair.key for pair in each.attributes[-4:]] for each in spans] == [NAMES, NAMES]
    for text, vector in zip(texts, vectors, strict=True):
        assert [value.double_value for value in vector] == embedding_of(text).vector.tolist()


@pytest.mark.parametrize("form", FORMS)
def test_spans_of_every_shape_come_back_unchanged(form: str, tmp_path: Path) -> None:
    came = annotated(*requests(), form=form, directory=tmp_path)

    assert len(came) == len(requests())
    assert spans_in(came) == spans_in(requests())
    assert not spans_as_they_are(came) & spans_as_they_are(requests())


def test_json_and_protobuf_come_out_the_same(tmp_path: Path) -> None:
    for form in FORMS:
        (tmp_path / form).mkdir()
    as_json, as_protobuf = (
        annotated(*requests(), form=form, directory=tmp_path / form) for form in FORMS
    )
    parsed = ExportTraceServiceRequest.FromString

    assert [*map(parsed, as_json)] == [*map(parsed, as_protobuf)]


def test_all_of_a_json_line_stays_but_for_our_attributes(tmp_path: Path) -> None:
    sent = [otlp_json(ExportTraceServiceRequest.FromString(encoded)) for encoded in requests()]
    for number, each in enumerate(sent):
        each["later"] = {"than": number}
        each["resourceSpans"][0]["later"] = [1.0, None]
        next(spans_of(each))["later"] = -0.0
    lines = [json.dumps(each) for each in sent]
    (tmp_path / "in").write_text("\n".join(lines))
    annotate([tmp_path / "in"], tmp_path / "out")
    came = (tmp_path / "out").read_text().splitlines()

    assert [json.dumps(stripped(json.loads(each))) for each in came] == lines


def test_a_protobuf_span_keeps_its_bytes(tmp_path: Path) -> None:
    spans = [span("one").SerializeToString() + unknown for unknown in UNKNOWN_FIELDS]
    scope = b"".join(field(2, each) for each in spans) + UNKNOWN_FIELDS[0]
    sent = field(1, field(2, scope) + UNKNOWN_FIELDS[1]) + UNKNOWN_FIELDS[2]
    [came] = annotated(sent, form="protobuf", directory=tmp_path)
    [resource] = parse_request(came).resources

    for each, sent_span in zip(resource.scopes[0].spans, spans, strict=True):
        assert each.encoded.startswith(sent_span)
    assert resource.scopes[0].header == UNKNOWN_FIELDS[0]
    assert resource.header == UNKNOWN_FIELDS[1]
    assert parse_request(came).header == UNKNOWN_FIELDS[2]


def test_lines_without_spans_stay_as_they_are(tmp_path: Path) -> None:
    content = b'{"resourceSpans": [ {} ]}\n{}\r\n'
    (tmp_path / "in").write_bytes(content)
    annotate([tmp_path / "in"], tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == content


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("standing", HAVING)
def test_what_a_span_has_decides_what_it_gets(
    form: str, standing: Standing, tmp_path: Path
) -> None:
    sent = request(span("one", {"a": 1, **HAVING[standing], "b": 2}))
    tally = annotate([write(tmp_path / "in", [sent.SerializeToString()], form)], tmp_path / "out")
    [came] = map(ExportTraceServiceRequest.FromString, read(tmp_path / "out"))
    is_left = standing in {Standing.CURRENT, Standing.FOREIGN}
    [attributes] = [each.attributes for each in came.resource_spans[0].scope_spans[0].spans]

    assert (came == sent) == is_left
    assert tally == (FilesTally(0, Counter([standing])) if is_left else FilesTally(1))
    assert is_left or [pair.key for pair in attributes] == ["a", "b", *NAMES]


@pytest.mark.parametrize("standing", HAVING)
def test_a_text_of_unknown_words_is_a_stand_in_that_replaces_no_vector(
    standing: Standing, tmp_path: Path
) -> None:
    sent = request(span("one", HAVING[standing]))
    file = write(tmp_path / "in", [sent.SerializeToString()], "protobuf")
    tally = annotate([file], tmp_path / "out", model=KnowingNothing())
    [came] = map(ExportTraceServiceRequest.FromString, read(tmp_path / "out"))

    is_left = standing not in {Standing.NONE, Standing.STAND_IN}
    assert (came == sent) == is_left
    assert tally == (FilesTally(0, Counter([standing])) if is_left else FilesTally(1))
    assert is_left or b"fallback-sha256" in came.SerializeToString()


@pytest.mark.parametrize("form", FORMS)
def test_what_was_annotated_is_left_alone_the_next_time(form: str, tmp_path: Path) -> None:
    annotate([write(tmp_path / "in", requests(), form)], tmp_path / "once")
    tally = annotate([tmp_path / "once"], tmp_path / "twice")

    assert (tmp_path / "twice").read_bytes() == (tmp_path / "once").read_bytes()
    assert tally == FilesTally(0, Counter({Standing.CURRENT: 450}))


class FailingModel(FakeModel):
    """Embeds so many texts, and then no more."""

    def __init__(self, texts: int) -> None:
        super().__init__()
        self._left = texts

    def encode(self, texts: Sequence[str]) -> list[Embedding]:
        self._left -= len(texts)
        if self._left < 0:
            raise EmbeddingFailedError("the model failed")
        return super().encode(texts)


def small_requests(count: int, form: str) -> Iterator[bytes]:
    """Make requests of one span, each of another text, as they stand in a file."""
    # To put other letters into a request is quicker than to make it.
    example = FRAMINGS[form](request(span("operation aaaaa")).SerializeToString())
    for number in range(count):
        letters = bytes(ord("a") + int(digit) for digit in f"{number:05}")
        yield example.replace(b"aaaaa", letters)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", READERS)
def test_what_was_stopped_goes_on_to_the_same_content(
    form: str, suffix: str, tmp_path: Path
) -> None:
    requests_ = [*small_requests(2 * MAX_WINDOW_REQUESTS + 500, form)]
    inputs = [tmp_path / "one", tmp_path / "two"]
    inputs[0].write_bytes(b"".join(requests_[:1_200]))
    inputs[1].write_bytes(b"".join(requests_[1_200:]))
    out, whole, model = tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}", FakeModel()
    annotate(inputs, whole)
    with pytest.raises(EmbeddingFailedError):
        annotate(inputs, out, model=FailingModel(1_700))
    assert not out.exists()
    annotate(inputs, out, model=model, resume=True)

    read_all = READERS[suffix]
    assert read_all(out.read_bytes()) == read_all(whole.read_bytes())
    # The second window was lost, the first was not.
    assert sum(map(len, model.batches)) == 1_500


def test_a_request_that_came_alone_goes_alone(tmp_path: Path) -> None:
    encoded = request(span("one")).SerializeToString()
    (tmp_path / "in").write_bytes(encoded)
    annotate([tmp_path / "in"], tmp_path / "alone", with_lengths=False)
    annotate([tmp_path / "in"], tmp_path / "with length")
    alone = (tmp_path / "alone").read_bytes()

    assert spans_in([alone]) == spans_in([encoded])
    assert (tmp_path / "with length").read_bytes() == with_length(alone)


def test_a_request_that_grows_too_large_is_refused() -> None:
    [request_] = [parse_request(request(span("one")).SerializeToString())]
    # No memory is needed for what is there many times.
    request_.resources[0].scopes[0].spans = [Span(bytes(2**26))] * 32

    with pytest.raises(UnwritableFileError, match=r"2,147,48.* bytes.*--encoding bytes"):
        ProtobufDocument(request_, is_alone=False).pieces()


@pytest.mark.parametrize(
    ("content", "position"),
    [
        (b"{}\n[5]\n", "line 2 is not OTLP/JSON"),
        (with_length(b"") + with_length(b"\xff"), "request 2 is not OTLP protobuf"),
        (with_length(field(1, field(2, field(2, b"\xff")))), "request 1 is not OTLP protobuf"),
        (b"\xff", "the file, which is no JSON, is not OTLP protobuf"),
    ],
    ids=["JSON", "protobuf", "a span", "alone"],
)
def test_what_is_malformed_is_named(content: bytes, position: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(content)

    with pytest.raises(UnreadableFileError, match=f"{tmp_path / 'in'}: {position}"):
        annotate([tmp_path / "in"], tmp_path / "out")


def appended_to(content: bytes, directory: Path) -> bytes:
    """Annotate a file of JSON, and give it without what was appended."""
    (directory / "in").write_bytes(content)
    annotate([directory / "in"], directory / "out")
    came = (directory / "out").read_bytes()
    assert came.count(b'"embedding.vector"') == 2
    without = re.sub(rb',?\{"key":"embedding\.[^}]*\}\}', b"", came)
    return without.replace(b',"attributes":[]', b"")


TWO = [otlp_json(request(span(name), service="shop\u00e9")) for name in ("one", "two")]
LINES = [json.dumps(each).encode() for each in TWO]
PRETTY = [json.dumps(each, indent=2, ensure_ascii=False).encode() for each in TWO]
FILES = {
    "over several lines": b"\n".join(PRETTY) + b"\n",
    "a list": b"[" + b", ".join(LINES) + b"]\n",
    "a list over several lines": b"[\n" + b",\n".join(PRETTY) + b"\n]\n",
    "behind each other": b"".join(LINES) + b"\n",
    "a mark, a hole, empty lines": b"\xef\xbb\xbf\n" + LINES[0] + b"\n\0\0\0" + LINES[1] + b"\n\n",
    "not UTF-8": b"\n".join(PRETTY).replace("\u00e9".encode(), b"\xe9\xff") + b"\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_json_stays_the_text_that_it_was_however_it_is_written(
    content: bytes, tmp_path: Path
) -> None:
    assert appended_to(content, tmp_path) == content


BAD = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}'
GOOD = [line(request(span(name)).SerializeToString()).rstrip() for name in ("one", "two")]


def annotate_skipping(
    names: Sequence[Path], out: Path, *, resume: bool = False, model: Model | None = None
) -> int:
    """Annotate files without what can't be read; give how many requests that were."""
    paths = OutputPaths(out)
    start = paths.start({}, resume=resume, overwrite=False)
    with (
        BulkEmbedder(model or FakeModel(), threads=2, max_texts=100) as embedder,
        OutputFile(paths, start) as output,
    ):
        formats = {
            Form.JSON: json_format(annotator("bytes", JSON)),
            Form.PROTOBUF: protobuf_format(annotator("bytes"), with_lengths=True),
        }
        spans = SpanAnnotator(
            new_renderer(RenderOptions(profile="template")),
            embedder,
            formats,
            FilesTally(),
            on_unreadable=output.rejected.reject,
        )
        files = TraceFiles([*map(str, names)], on_cut_off=print)
        annotate_files(files, spans, output, checkpoint_seconds=0, advance=lambda _: None)
    return output.rejected.requests


def test_what_cannot_be_read_is_kept_beside_the_output(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(
        b"\n".join([GOOD[0], BAD, b'{"resourceLogs":[]}', GOOD[1]]) + b"\n"
    )

    assert annotate_skipping([tmp_path / "in"], tmp_path / "out") == 2
    assert (tmp_path / "out.rejected").read_bytes() == BAD + b'\n{"resourceLogs":[]}\n'
    reasons = (tmp_path / "out.rejected.reasons").read_text().splitlines()
    assert [reason.split(":")[1] for reason in reasons] == [
        " line 2 is not OTLP/JSON",
        " line 3 holds no traces of OTLP",
    ]
    assert len(read(tmp_path / "out")) == 2


def test_a_protobuf_request_that_cannot_be_read_is_kept_whole(tmp_path: Path) -> None:
    good, bad = request(span("one")).SerializeToString(), field(1, field(2, field(2, b"\xff")))
    mixed = field(1, field(2, field(2, span("a", HAVING[Standing.CURRENT]).SerializeToString())))
    write(tmp_path / "in", [good, mixed + bad, good], "protobuf")

    assert annotate_skipping([tmp_path / "in"], tmp_path / "out") == 1
    assert (tmp_path / "out.rejected").read_bytes() == with_length(mixed + bad)
    assert len(read(tmp_path / "out")) == 2


def test_in_a_list_an_empty_request_takes_the_place(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"[" + b",".join([BAD, GOOD[0], BAD]) + b"]")

    assert annotate_skipping([tmp_path / "in"], tmp_path / "out") == 2
    assert [len(each) for each in json.loads((tmp_path / "out").read_bytes())] == [0, 1, 0]


def test_where_all_can_be_read_there_is_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(GOOD[0])

    assert annotate_skipping([tmp_path / "in"], tmp_path / "out") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


def test_what_was_stopped_goes_on_with_what_was_rejected(tmp_path: Path) -> None:
    lines = [*small_requests(2 * MAX_WINDOW_REQUESTS, "JSON")]
    for number in range(100, len(lines), 300):
        lines[number] = BAD[:-1] + b', "n": %d}\n' % number
    (tmp_path / "in").write_bytes(b"".join(lines))
    assert annotate_skipping([tmp_path / "in"], tmp_path / "whole") == 7
    with pytest.raises(EmbeddingFailedError):
        annotate_skipping([tmp_path / "in"], tmp_path / "out", model=FailingModel(1_200))

    assert annotate_skipping([tmp_path / "in"], tmp_path / "out", resume=True) == 7
    for suffix in ("", ".rejected", ".rejected.reasons"):
        whole, out = (tmp_path / f"{name}{suffix}" for name in ("whole", "out"))
        assert out.read_bytes() == whole.read_bytes()


def test_what_was_rejected_and_taken_away_is_not_made_up_with_zeros(tmp_path: Path) -> None:
    lines = [*small_requests(2 * MAX_WINDOW_REQUESTS, "JSON")]
    lines[100] = BAD + b"\n"
    (tmp_path / "in").write_bytes(b"".join(lines))
    with pytest.raises(EmbeddingFailedError):
        annotate_skipping([tmp_path / "in"], tmp_path / "out", model=FailingModel(1_200))
    (tmp_path / "out.rejected").write_bytes(b"")

    with pytest.raises(UnwritableFileError, match=r"out\.rejected is shorter than when it was"):
        annotate_skipping([tmp_path / "in"], tmp_path / "out", resume=True)


def test_what_was_rejected_before_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(GOOD[0])
    (tmp_path / "out.rejected").write_bytes(b"precious")

    with pytest.raises(UnwritableFileError, match=r"out\.rejected is there already"):
        annotate_skipping([tmp_path / "in"], tmp_path / "out")


def test_where_nothing_was_saved_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(BAD)

    with pytest.raises(UnreadableFileError):
        annotate([tmp_path / "in"], tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


def stored(size: int) -> StoredRequest:
    return StoredRequest(Form.JSON, "here", bytes(size))


def test_a_window_holds_so_many_requests_and_no_more() -> None:
    sizes = [len(window) for window in windows(map(stored, [1] * (2 * MAX_WINDOW_REQUESTS + 1)))]

    assert sizes == [MAX_WINDOW_REQUESTS, MAX_WINDOW_REQUESTS, 1]


def test_a_window_holds_so_many_bytes_and_the_request_that_made_them_more() -> None:
    part = MAX_WINDOW_BYTES // 2
    sizes = [part, part - 1, part, 1, 3 * part, 5]

    assert [[len(each.content) for each in window] for window in windows(map(stored, sizes))] == [
        *([part, part - 1, part], [1, 3 * part], [5])
    ]


def test_of_nothing_there_is_no_window() -> None:
    assert [*windows([])] == []
