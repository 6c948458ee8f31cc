"""Asks a page that runs elsewhere: the same questions, the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from otel_embedder.errors import (
    OtelEmbedderError,
    QueryError,
    StoreError,
    UnauthenticatedError,
    UnknownEntryError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

Answered = TypeVar("Answered")

SECONDS = 60.0
BY_STATUS: Mapping[int, type[OtelEmbedderError]] = {
    401: UnauthenticatedError,
    404: UnknownEntryError,
}
UNPROCESSABLE = 422


class Client:
    """Asks over HTTP."""

    def __init__(self, url: str, *, token: str | None) -> None:
        """Prepare to ask.

        Args:
            url: of the page.
            token: to bring, if one is asked for.

        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._client = httpx2.Client(headers=headers, timeout=SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def ask(self, name: str, values: Mapping[str, object], answer: type[Answered]) -> Answered:
        """Give the answer to a question.

        Args:
            name: the question's word, such as `search`.
            values: of the query's fields.
            answer: what it is.

        Raises:
            QueryError: a value is wrong.
            UnknownEntryError: there is nothing of that id.
            UnauthenticatedError: the token is not good there.
            StoreError: nobody answers, or can't.

        """
        try:
            said = self._client.post(f"{self._url}/api/v1/{name}", json=dict(values))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise StoreError(
                f"nobody answers at {self._url}: {error}; is it the address that `page` tells?"
            ) from error
        if said.status_code != httpx2.codes.OK:
            self._refuse(said)
        try:
            return TypeAdapter(answer).validate_json(said.content)
        except ValidationError as error:
            raise StoreError(
                f"{self._url} answers otherwise than this version does: is it an otel-embedder?"
            ) from error

    def _refuse(self, said: httpx2.Response) -> NoReturn:
        detail = _detail(said)
        if said.status_code == UNPROCESSABLE:
            raise QueryError(detail, field="")
        kind = BY_STATUS.get(said.status_code, StoreError)
        raise kind(f"{self._url} answers {said.status_code}: {detail}")


def _detail(said: httpx2.Response) -> str:
    try:
        return str(said.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return "not in the words of otel-embedder"
