"""What is kept of a file's spans to judge texts by, while they stream by.

Of each span two or three numbers: which trace, and which text of each kind. Of
few the span itself: a sample, of which questions are asked.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from otel_embedder.otlp.facts import service_name, span_facts
from otel_embedder.otlp.spans import span_ids
from otel_embedder.text.masking.masks import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.annotation.work import SpanRenderer
    from otel_embedder.otlp.facts import SpanFacts
    from otel_embedder.otlp.spans import SpanIds
    from otel_embedder.otlp.wire import TraceRequest
    from otel_embedder.search.evaluation.labels import Fault
    from otel_embedder.search.evaluation.measures import Integers

SEED = 7
EXCEPTION = "exception"
EXCEPTION_KEYS = {"exception.type", "exception.message"}


class SampledSpan(NamedTuple):
    """A span of the sample.

    Attributes:
        position: the how manieth of the file it is, from 0.
        service: its service.
        encoded: the span.

    """

    position: int
    service: str
    encoded: bytes


class Symptom(NamedTuple):
    """A span in which a fault shows.

    Attributes:
        position: the how manieth of the file it is, from 0.
        fault: the fault.
        milliseconds: how long it took, None if that is unknown.

    """

    position: int
    fault: Fault
    milliseconds: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """How the spans of a file read.

    Attributes:
        texts: the distinct texts, in the order that they came.
        of_spans: the number of each span's text; shape (spans,).

    """

    texts: list[str]
    of_spans: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """What was kept of a file.

    Attributes:
        name: the file's, without folder and endings.
        traces: the number of each span's trace; shape (spans,).
        sample: spans to ask questions of, in order.
        symptoms: spans in which labelled faults show, in order.
        texts: by the name of the kind of text.

    """

    name: str
    traces: Integers
    sample: list[SampledSpan]
    symptoms: list[Symptom]
    texts: dict[str, Texts]

    def distinct_texts(self) -> Iterator[str]:
        """Give the texts of every kind, some more than once."""
        return chain.from_iterable(texts.texts for texts in self.texts.values())


class Positioned(Protocol):
    """Something at a position."""

    @property
    def position(self) -> int:
        """Where it is."""
        ...


Kept = TypeVar("Kept", bound=Positioned)
Thing = TypeVar("Thing")


class Sample(Generic[Kept]):
    """Keeps one of every kind, as far as there is room, and any others in the rest of it."""

    def __init__(self, size: int, *, seed: int) -> None:
        """Prepare to take some in.

        Args:
            size: how many are kept at most.
            seed: the same seed keeps the same of the same.

        """
        self._size = size
        self._random = Random(seed)  # noqa: S311 - a sample, not a secret
        self._firsts: dict[Hashable, Kept] = {}
        self._any: list[Kept] = []
        self._seen = 0

    def add(self, one: Kept, kind: Hashable) -> None:
        """Take one in, and keep it or not."""
        if len(self._firsts) < self._size:
            self._firsts.setdefault(kind, one)
        self._seen += 1
        if len(self._any) < self._size:
            self._any.append(one)
        elif (place := self._random.randrange(self._seen)) < self._size:
            self._any[place] = one

    def kept(self) -> list[Kept]:
        """Give what is kept, in order."""
        kept = {one.position: one for one in self._firsts.values()}
        others = [one for one in self._any if one.position not in kept]
        for one in self._random.sample(others, min(len(others), self._size - len(kept))):
            kept[one.position] = one
        return [kept[position] for position in sorted(kept)]


class _Numbers(Generic[Thing]):
    """Numbers things in the order that they come, of which each span has one."""

    def __init__(self) -> None:
        self.known: dict[Thing, int] = {}
        self._of_spans = array("q")

    def add(self, thing: Thing) -> None:
        self._of_spans.append(self.known.setdefault(thing, len(self.known)))

    def of_spans(self) -> Integers:
        return np.array(self._of_spans, np.int64)


class CorpusReader:
    """Reads the spans of files."""

    def __init__(
        self,
        renderers: Mapping[str, SpanRenderer],
        *,
        annotator: Annotator,
        faults: Mapping[SpanIds, Fault],
        sample_size: int,
    ) -> None:
        """Prepare to read.

        Args:
            renderers: make the texts that are judged, by their names.
            annotator: what knows our attributes, which are no part of a text.
            faults: which span shows which fault.
            sample_size: how many spans of a file are kept to ask questions of, and how many with
                faults.

        """
        self._renderers = renderers
        self._annotator = annotator
        self._faults = faults
        self._sample_size = sample_size

    def read(
        self, name: str, requests: Iterable[TraceRequest], advance: Callable[[float], None]
    ) -> Corpus:
        """Read the spans of a file.

        Args:
            name: the file's, without folder and endings.
            requests: what it holds.
            advance: is called with 1 for each span.

        Raises:
            google.protobuf.message.DecodeError: something is not a Span.

        """
        traces: _Numbers[bytes] = _Numbers()
        texts: dict[str, _Numbers[str]] = {text: _Numbers() for text in self._renderers}
        sample: Sample[SampledSpan] = Sample(self._sample_size, seed=SEED)
        symptoms: Sample[Symptom] = Sample(self._sample_size, seed=SEED)
        for position, (resource, encoded) in enumerate(_spans(requests)):
            ids, span = span_ids(encoded), self._annotator.stripped(encoded)
            traces.add(ids.trace_id)
            for text, renderer in self._renderers.items():
                texts[text].add(renderer.render(span, renderer.service(resource))[0])
            facts, service = span_facts(span), service_name(resource)
            sample.add(SampledSpan(position, service, span), _kind(service, facts))
            if fault := self._faults.get(ids):
                symptoms.add(Symptom(position, fault, facts.milliseconds), fault)
            advance(1)
        found = {text: Texts([*each.known], each.of_spans()) for text, each in texts.items()}
        return Corpus(name, traces.of_spans(), sample.kept(), symptoms.kept(), found)


def _spans(requests: Iterable[TraceRequest]) -> Iterator[tuple[bytes, bytes]]:
    """Give each span, encoded, behind its encoded resource."""
    for request in requests:
        for resource in request.resources:
            encoded = resource.resource
            for scope in resource.scopes:
                for span in scope.spans:
                    yield encoded, span.encoded


def _kind(service: str, span: SpanFacts) -> Hashable:
    """Give what makes a span unlike those that are in the sample already."""
    exceptions = (
        value
        for event in span.events
        if event.name == EXCEPTION
        for key, value in event.attributes
        if key in EXCEPTION_KEYS
    )
    return service, mask(span.name), span.status, mask(" ".join((span.message, *exceptions)))
