"""A real gRPC server of tests for whatever is exported, at a free port."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

import grpc
import grpc.aio

if TYPE_CHECKING:
    from types import TracebackType

    Handler = grpc.RpcMethodHandler[bytes, bytes]


class ExportServer(ABC):
    """Answers `Export` of some services, of messages as bytes, while it is entered.

    Attributes:
        url: where it listens, once it is entered.

    """

    url: str

    @abstractmethod
    def handlers(self) -> dict[str, Handler]:
        """Give what answers, by the name of its service."""

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        for service, handler in self.handlers().items():
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
            )
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.stop(None)
