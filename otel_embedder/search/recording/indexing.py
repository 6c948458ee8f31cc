"""Files put into a catalogue: their spans counted, their texts embedded.

A file is a writer of its own, known by a digest of its contents. It is counted, then its texts
that have no vector are embedded and put into the catalogue window by window, and last an empty
batch says that it is whole. After a run that was killed before that the file is counted anew, in
the place of what was counted, and what was not embedded is.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError

from otel_embedder.embedder.embedding import Embedding
from otel_embedder.errors import UnreadableFileError
from otel_embedder.search.entries import Embedded
from otel_embedder.search.recording.recorder import Bounds, Recorder
from otel_embedder.search.store import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_embedder.annotation.annotator import Annotator
    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.otlp.wire import ResourceSpans, TraceRequest
    from otel_embedder.search.store import Store
    from otel_embedder.text.rendering import TextRenderer

# What is held of a file: 55 MB a million spans, and .4 GB more while they are counted.
WINDOW_SPANS = 1_000_000
WINDOW_BYTES = 512 * 1024 * 1024
MAX_SAYINGS = 1_000_000
ENTRIES_AT_ONCE = 1_000
# No file has as many batches: the numbers from here on say that it is whole.
WHOLE = 2**31


@dataclass(slots=True)
class IndexTally:
    """What became of files.

    Attributes:
        spans: how many were counted.
        texts: how many different ones these have.
        taken: of these, texts whose vector a span brought.
        embedded: of these, texts that were embedded.
        unknown: of these, texts of which the model knows no word.
        files: how many were counted.
        known_files: how many had been before, and so were not read.

    """

    spans: int = 0
    texts: int = 0
    taken: int = 0
    embedded: int = 0
    unknown: int = 0
    files: int = 0
    known_files: int = 0


class Indexer:
    """Puts files into a catalogue, one after the other: `knows`, `read`, `embed`, `finish`.

    ::

        if not indexer.knows(digest):
            for spans in indexer.read(digest, requests, now=now):
                ...
            for texts in indexer.embed(embedder, window=window):
                ...
            indexer.finish(digest)
    """

    def __init__(  # noqa: PLR0913 - each is a part
        self,
        store: Store,
        renderer: TextRenderer,
        annotator: Annotator,
        *,
        model: str,
        dimension: int,
        window_spans: int,
    ) -> None:
        """Prepare to index.

        Args:
            store: keeps the catalogue.
            renderer: makes the texts.
            annotator: finds the vectors that spans carry.
            model: the name of the model.
            dimension: how many numbers its vectors have.
            window_spans: of so many spans of a file the trees are whole; of more of them those
                within as many and the next.

        """
        self._window_spans = window_spans
        # Never reached: windows end before.
        self._bounds = Bounds(4 * window_spans, 4 * WINDOW_BYTES, MAX_SAYINGS, WINDOW_BYTES // 4)
        self._store = store
        self._renderer = renderer
        self._annotator = annotator
        self._model = model
        self._dimension = dimension
        # A file counted by another version of the text is to be counted anew.
        self._whole = WHOLE + zlib.crc32(renderer.text_version.encode())
        self._texts: set[str] = set()
        self._taken: set[str] = set()
        self._looked_at = 0
        self.tally = IndexTally()

    def knows(self, digest: str) -> bool:
        """Tell whether a file of these contents was put in whole, by this version of the text."""
        is_known = self._store.last_number(_writer(digest)) == self._whole
        self.tally.known_files += is_known
        return is_known

    def read(self, digest: str, requests: Iterable[TraceRequest], *, now: int) -> Iterator[int]:
        """Count the spans of a file; give how many each request has, when it is read.

        Args:
            digest: of its contents.
            requests: what it holds.
            now: nanoseconds since 1970.

        Raises:
            google.protobuf.message.DecodeError: something in a request is not what it should be;
                then none of its spans are counted, nor if `requests` raises an
                UnreadableFileError.
            StoreError: the catalogue could not be written.

        """
        writer = _writer(digest)
        if self._store.last_number(writer):
            self._store.forget(writer)
        recorder = Recorder(writer, self._renderer, bounds=self._bounds, is_file=True)
        try:
            for request in requests:
                self._read(request, recorder, now)
                yield request.spans
        except (DecodeError, UnreadableFileError):
            # A part of it would be counted for ever: once it is mended it is another file.
            self._store.forget(writer)
            raise
        self._write(recorder.flush(now))
        self.tally.files += 1

    def _read(self, request: TraceRequest, recorder: Recorder, now: int) -> None:
        for resource in request.resources:
            self._take(resource, recorder, now)
        self.tally.spans += request.spans
        if recorder.size >= WINDOW_BYTES:
            self._write(recorder.flush(now))
        elif recorder.arrived >= self._window_spans:
            self._write(recorder.batch(now))

    def _take(self, resource: ResourceSpans, recorder: Recorder, now: int) -> None:
        spans = [span.encoded for scope in resource.scopes for span in scope.spans]
        if not spans:
            return
        encoded = resource.resource
        service = self._renderer.service(encoded)
        bare = [self._annotator.stripped(span) for span in spans]
        texts = [self._renderer.render(span, service).content for span in bare]
        carried = [
            None if span is own else self._carried(span, text)
            for span, own, text in zip(spans, bare, texts, strict=True)
        ]
        recorder.take(encoded, bare, texts, carried, now=now)
        self._texts.update(texts)
        self.tally.texts = len(self._texts)

    def _carried(self, span: bytes, text: str) -> Embedding | None:
        """Give the embedding that a span carries of a text, if none of that came yet."""
        if text in self._taken:
            return None
        vector = self._annotator.vector(span, dimension=self._dimension)
        if vector is None or not self._annotator.is_of(span, text):
            return None
        self._taken.add(text)
        self.tally.taken += 1
        return Embedding(vector, self._model, "model")

    def _write(self, batch: Batch | None) -> None:
        if batch is not None:
            self._store.write(batch)

    def without_vector(self) -> dict[int, str]:
        """Give the texts that were read and have no vector of this model, by their keys.

        Raises:
            StoreError: the catalogue could not be read.

        """
        columns = self._store.columns(after=self._looked_at)
        ours = [number for number, name in columns.names.items() if name == self._model]
        keys = columns.keys[~np.isin(columns.models, ours)]
        self._looked_at = columns.changed
        return {
            entry.key: entry.words
            for start in range(0, len(keys), ENTRIES_AT_ONCE)
            for entry in self._store.entries(keys[start : start + ENTRIES_AT_ONCE].tolist())
            if entry.words in self._texts
        }

    def embed(self, texts: dict[int, str], embedder: TextEmbedder, *, window: int) -> Iterator[int]:
        """Give texts their vectors; give how many, whenever they are in the catalogue.

        Args:
            texts: by their keys.
            embedder: what embeds them.
            window: how many are embedded at once.

        Raises:
            EmbeddingError: the model is not there, or failed.
            StoreError: the catalogue could not be written.

        """
        keys = [*texts]
        for start in range(0, len(keys), window):
            part = keys[start : start + window]
            embeddings = embedder.embed([texts[key] for key in part])
            vectors = [
                (key, Embedded(each.model, each.vector))
                for key, each in zip(part, embeddings, strict=True)
                if each.source == "model"
            ]
            self._store.put_vectors(vectors, text_version=self._renderer.text_version)
            self.tally.embedded += len(vectors)
            self.tally.unknown += len(part) - len(vectors)
            yield len(part)

    def finish(self, digest: str) -> None:
        """Let it be known that a file is in the catalogue whole.

        Raises:
            StoreError: the catalogue could not be written.

        """
        self._store.write(Batch(_writer(digest), self._whole, [], [], [], {}))


def _writer(digest: str) -> str:
    return f"file {digest}"
