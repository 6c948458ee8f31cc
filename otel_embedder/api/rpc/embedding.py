"""otel_embedder.v1.EmbeddingService: vectors of texts and of spans, as the sidecar makes them.

Whoever asks waits behind spans that are urgent, and takes turns with all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import grpc
from google.protobuf.message import DecodeError

from otel_embedder.annotation.standing import Origin
from otel_embedder.annotation.text_id import text_id
from otel_embedder.annotation.work import SpanRenderer, spans_of
from otel_embedder.api.querying import query_of
from otel_embedder.errors import MalformedRequestError, QueryError
from otel_embedder.otlp.spans import span_ids
from otel_embedder.otlp.wire import parse_request
from otel_embedder.proto.v1 import embedding_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.api.pool import Pool
    from otel_embedder.api.rpc.calls import Rpcs
    from otel_embedder.embedder.embedding import Embedding

EMBEDDING_SERVICE = "otel_embedder.v1.EmbeddingService"
MAX_SPANS = 1_000


class AsyncEmbedder(Protocol):
    """Embeds what it is given, or raises."""

    async def embed_async(self, contents: Sequence[str]) -> list[Embedding]:
        """Give one embedding a text, in order."""
        ...


class Read(NamedTuple):
    """What was read of spans.

    Attributes:
        texts: each once, with its place.
        spans: of each its ids, and the place of its text.

    """

    texts: dict[str, int]
    spans: list[pb.EmbeddedSpan]


class EmbeddingRpcs:
    """Embeds for whoever asks."""

    def __init__(
        self,
        embedder: AsyncEmbedder,
        renderer: SpanRenderer,
        pool: Pool,
        *,
        model: str,
        text_version: str,
    ) -> None:
        """Embed.

        Args:
            embedder: embeds texts.
            renderer: makes texts of spans.
            pool: has the threads for that.
            model: the name of the model.
            text_version: of the renderer.

        """
        self._embedder = embedder
        self._renderer = renderer
        self._pool = pool
        self._origin = Origin(model, text_version)

    def rpc_handler(self, rpcs: Rpcs) -> grpc.GenericRpcHandler:
        """Give the handler to add to a server."""
        handlers = {
            "Embed": rpcs.handler(f"/{EMBEDDING_SERVICE}/Embed", pb.EmbedRequest, self._embed),
            "EmbedSpans": rpcs.handler(
                f"/{EMBEDDING_SERVICE}/EmbedSpans", pb.EmbedSpansRequest, self._embed_spans
            ),
        }
        return grpc.method_handlers_generic_handler(EMBEDDING_SERVICE, handlers)

    async def _embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        # A sidecar whom nobody asks does not pay for what questions are made of.
        from otel_embedder.search.asking.browsing import EmbedQuery  # noqa: PLC0415

        texts = query_of(EmbedQuery, {"texts": tuple(request.texts)}).texts
        made = await self._embedder.embed_async(texts)
        return pb.EmbedResponse(model=self._origin.model, embeddings=map(_told, made))

    async def _embed_spans(self, request: pb.EmbedSpansRequest) -> pb.EmbedSpansResponse:
        read = await self._pool.run(lambda: self._read(request.otlp))
        made = await self._embedder.embed_async([*read.texts])
        return pb.EmbedSpansResponse(
            model=self._origin.model,
            text_version=self._origin.text_version,
            texts=[
                pb.SpanText(text=text, text_id=text_id(self._origin, text), embedding=_told(each))
                for text, each in zip(read.texts, made, strict=True)
            ],
            spans=read.spans,
        )

    def _read(self, otlp: bytes) -> Read:
        from otel_embedder.search.asking.browsing import MAX_TEXTS  # noqa: PLC0415 - as above

        read = Read({}, [])
        try:
            request = parse_request(otlp)
            if request.spans > MAX_SPANS:
                raise QueryError(
                    f"otlp: has {request.spans} spans, {MAX_SPANS} at most", field="otlp"
                )
            for span, service in spans_of(request, self._renderer):
                text, _ = self._renderer.render(span.encoded, service)
                place = read.texts.setdefault(text, len(read.texts))
                ids = span_ids(span.encoded)
                read.spans.append(
                    pb.EmbeddedSpan(trace_id=ids.trace_id, span_id=ids.span_id, text=place)
                )
        except DecodeError as error:
            raise MalformedRequestError("otlp: holds what is no span") from error
        if len(read.texts) > MAX_TEXTS:
            raise QueryError(
                f"otlp: its spans have {len(read.texts)} texts, {MAX_TEXTS} at most", field="otlp"
            )
        return read


def _told(embedding: Embedding) -> pb.Embedding:
    return pb.Embedding(vector=embedding.vector.tolist(), source=embedding.source)
