"""otel_embedder.v1.CatalogueService: the questions of the API, by the same rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import grpc
from google.protobuf.json_format import MessageToDict, Parse

from otel_embedder.api.counting import counted
from otel_embedder.proto.v1 import catalogue_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.message import Message

    from otel_embedder.api.counting import QuestionMetrics
    from otel_embedder.api.pool import Pool
    from otel_embedder.api.questions import Question
    from otel_embedder.api.rpc.calls import Rpcs
    from otel_embedder.search.catalogue import Catalogue

CATALOGUE_SERVICE = "otel_embedder.v1.CatalogueService"

# By the question's word: the method, what comes, and what goes back.
METHODS: Mapping[str, tuple[str, type[Message], type[Message]]] = {
    "search": ("Search", pb.SearchRequest, pb.AnswerResponse),
    "like": ("Like", pb.LikeRequest, pb.AnswerResponse),
    "groups": ("Groups", pb.GroupsRequest, pb.GroupsResponse),
    "changes": ("Changes", pb.ChangesRequest, pb.ChangesResponse),
}


class CatalogueRpcs:
    """Answers questions."""

    def __init__(
        self, catalogue: Callable[[], Catalogue], pool: Pool, metrics: QuestionMetrics
    ) -> None:
        """Answer from a catalogue.

        Args:
            catalogue: gives it, or raises a StoreError.
            pool: has the threads.
            metrics: who counts.

        """
        self._metrics = metrics
        self._catalogue = catalogue
        self._pool = pool

    def rpc_handler(self, rpcs: Rpcs) -> grpc.GenericRpcHandler:
        """Give the handler to add to a server."""
        handlers = {}
        for name, (method, request, response) in METHODS.items():
            answer = partial(self._answer, name, response)
            handlers[method] = rpcs.handler(f"/{CATALOGUE_SERVICE}/{method}", request, answer)
        return grpc.method_handlers_generic_handler(CATALOGUE_SERVICE, handlers)

    async def _answer(self, name: str, response: type[Message], request: Message) -> Message:
        values = MessageToDict(request, preserving_proto_field_name=True)
        with counted(self._metrics, "rpc"):
            said = await self._pool.run(partial(self._said, name, values))
        return Parse(said, response())

    def _said(self, name: str, values: Mapping[str, object]) -> bytes:
        return _question(name).ask_as_json(self._catalogue(), values)


def _question(name: str) -> Question:
    # Whoever fills a catalogue may never be asked: some 50 ms at the start of a sidecar.
    from otel_embedder.api.questions import QUESTIONS  # noqa: PLC0415

    return next(question for question in QUESTIONS if question.name == name)
