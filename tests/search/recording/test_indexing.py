from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.protobuf.message import DecodeError

from otel_embedder.annotation.annotator import Annotator
from otel_embedder.annotation.standing import Origin
from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import EmbeddingError
from otel_embedder.otlp.wire import parse_request
from otel_embedder.search.recording.indexing import WHOLE, Indexer
from otel_embedder.search.stores.memory import MemoryStore
from otel_embedder.text.options import RenderOptions
from otel_embedder.text.rendering import new_renderer
from tests.support.otlp_samples import field, request
from tests.support.recorded import MINUTE, NOW, made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from otel_embedder.otlp.wire import TraceRequest

MODEL = "tiny"
DIMENSION = 4
WINDOW = 2
WORDS = "{operation}"
OTHER_WORDS = "{operation} {status}"


class Embedder:
    """Embeds texts, and remembers which; fails after some; knows nothing of what is called ???."""

    def __init__(self, *, model: str = MODEL, most: int = 1_000) -> None:
        self.texts: list[str] = []
        self._model = model
        self._most = most

    def embed(self, contents: Sequence[str]) -> list[Embedding]:
        if len(self.texts) + len(contents) > self._most:
            raise EmbeddingError("killed")
        self.texts += contents
        return [self._embedded(text) for text in contents]

    def _embedded(self, text: str) -> Embedding:
        vector = np.eye(DIMENSION, dtype=np.float32)[len(text) % DIMENSION]
        if text == "???":
            return Embedding(vector, "fallback-sha256", "fallback")
        return Embedding(vector, self._model, "model")


def annotator(
    template: str = WORDS, *, attach_text: bool = False, attach_text_id: bool = True
) -> Annotator:
    version = new_renderer(RenderOptions(template=template)).text_version
    return Annotator(
        Origin(MODEL, version, DIMENSION),
        encoding="bytes",
        prefix="embedding.",
        attach_text=attach_text,
        attach_text_id=attach_text_id,
        max_remembered=10,
    )


def requests(*spans: Span) -> list[TraceRequest]:
    return [parse_request(request(span).SerializeToString()) for span in spans]


def index(
    store: MemoryStore,
    digest: str,
    content: Sequence[TraceRequest],
    embedder: Embedder,
    template: str = WORDS,
) -> Indexer:
    """Put a file in, as the command does."""
    renderer = new_renderer(RenderOptions(template=template))
    indexer = Indexer(
        store,
        renderer,
        annotator(template),
        model=MODEL,
        dimension=DIMENSION,
        window_spans=WINDOW,
    )
    if not indexer.knows(digest):
        assert sum(indexer.read(digest, content, now=NOW)) == len(content)
        texts = indexer.without_vector()
        assert sum(indexer.embed(texts, embedder, window=WINDOW)) == len(texts)
        indexer.finish(digest)
    return indexer


def spans_counted(store: MemoryStore) -> int:
    buckets = store.buckets(since=MINUTE, until=MINUTE + 3_600)
    return sum(int(bucket.counts.table("rows").values[:, 0].sum()) for bucket in buckets)


def with_vector(store: MemoryStore, model: str = MODEL) -> list[str]:
    keys = [key for part in store.vectors(model) for key in part.keys.tolist()]
    return sorted(entry.words for entry in store.entries(keys))


@pytest.fixture(name="store")
def _store() -> MemoryStore:
    return MemoryStore()


ABC = requests(made("a", 1), made("b", 2), made("c", 3), made("a", 4))


def test_spans_are_counted_and_texts_embedded(store: MemoryStore) -> None:
    embedder = Embedder()

    tally = index(store, "1", ABC, embedder).tally

    assert spans_counted(store) == 4
    assert with_vector(store) == ["a", "b", "c"]
    assert sorted(embedder.texts) == ["a", "b", "c"]
    assert (tally.files, tally.spans, tally.texts, tally.embedded) == (1, 4, 3, 3)


def test_the_same_file_twice_counts_once(store: MemoryStore) -> None:
    index(store, "1", ABC, Embedder())
    embedder = Embedder()

    tally = index(store, "1", ABC, embedder).tally

    assert spans_counted(store) == 4
    assert embedder.texts == []
    assert (tally.files, tally.known_files) == (0, 1)


def test_another_file_adds_up_and_its_known_texts_are_not_embedded_again(
    store: MemoryStore,
) -> None:
    index(store, "1", ABC, Embedder())
    embedder = Embedder()

    index(store, "2", requests(made("a", 1), made("d", 9)), embedder)

    assert spans_counted(store) == 6
    assert embedder.texts == ["d"]


def test_by_another_text_version_a_file_is_counted_in_the_place_of_the_old(
    store: MemoryStore,
) -> None:
    index(store, "1", ABC, Embedder())

    index(store, "1", ABC, Embedder(), template=OTHER_WORDS)

    assert spans_counted(store) == 4
    assert {"a", "a UNSET"} <= {*with_vector(store)}


def test_what_was_embedded_before_a_kill_is_not_embedded_again(store: MemoryStore) -> None:
    killed, embedder = Embedder(most=WINDOW), Embedder()

    with pytest.raises(EmbeddingError):
        index(store, "1", ABC, killed)
    index(store, "1", ABC, embedder)

    assert spans_counted(store) == 4
    assert sorted(killed.texts + embedder.texts) == ["a", "b", "c"]
    assert with_vector(store) == ["a", "b", "c"]
    assert store.last_number("file 1") >= WHOLE


def test_a_vector_that_a_span_carries_is_taken(store: MemoryStore) -> None:
    vector = np.eye(DIMENSION, dtype=np.float32)[3]
    content = requests(made("a", 1), made("a", 2))
    [resource] = content[0].resources
    span = resource.scopes[0].spans[0]
    content[0].replace(
        span, span.encoded + annotator().attributes(Embedding(vector, MODEL, "model"), "a")
    )
    embedder = Embedder()

    tally = index(store, "1", content, embedder).tally

    assert embedder.texts == []
    assert tally.taken == 1
    [part] = store.vectors(MODEL)
    assert part.matrix.tolist() == [vector.tolist()]


@pytest.mark.parametrize("attach_text", [False, True])
def test_a_vector_of_what_a_span_said_before_it_was_changed_is_not_taken(
    store: MemoryStore, *, attach_text: bool
) -> None:
    content = requests(made("a", 1))
    [resource] = content[0].resources
    span = resource.scopes[0].spans[0]
    by = annotator(attach_text=attach_text, attach_text_id=not attach_text)
    embedding = Embedding(np.eye(DIMENSION, dtype=np.float32)[3], MODEL, "model")
    content[0].replace(span, span.encoded + by.attributes(embedding, "a secret"))
    embedder = Embedder()

    tally = index(store, "1", content, embedder).tally

    assert embedder.texts == ["a"]
    assert tally.taken == 0


def test_a_vector_of_another_model_is_not_enough(store: MemoryStore) -> None:
    index(store, "1", ABC, Embedder(model="another"))

    index(store, "2", requests(made("a", 1)), Embedder())

    assert with_vector(store) == ["a"]
    assert with_vector(store, "another") == ["b", "c"]


def test_texts_of_no_word_that_the_model_knows_have_no_vector(store: MemoryStore) -> None:
    tally = index(store, "1", requests(made("???", 1), made("a", 2)), Embedder()).tally

    assert with_vector(store) == ["a"]
    assert (tally.embedded, tally.unknown) == (1, 1)


def test_of_a_file_that_can_t_be_read_to_its_end_nothing_is_counted(store: MemoryStore) -> None:
    broken = parse_request(field(1, field(2, field(2, b"\xff"))))

    with pytest.raises(DecodeError):
        index(store, "1", [*ABC, *ABC, broken], Embedder())

    assert spans_counted(store) == 0
    assert store.last_number("file 1") == 0
