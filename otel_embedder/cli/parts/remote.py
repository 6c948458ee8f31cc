"""Commands that ask a page that runs elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from otel_embedder.credentials.checks import read_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from otel_embedder.api.client import Client
    from otel_embedder.settings import Settings


TOKEN_SETTINGS = ("http_token", "http_token_file")
url_option = click.option("--url", metavar="URL", help="Ask a page that runs, at http://HOST:PORT.")


def page_at(url: str, settings: Settings) -> Client:
    """Give what asks a page, with the token of the settings."""
    # Its HTTP client takes a tenth of a second to load.
    from otel_embedder.api.client import Client  # noqa: PLC0415

    return Client(url, token=_token(settings))


def said_by(query: BaseModel, options: Mapping[str, object]) -> dict[str, object]:
    """Give the values of a query as they were said, so that 15m is of the page's own time."""
    values = query.model_dump()
    said = {name: options.get(name, values[name]) for name in query.model_fields_set}
    return {name: [*value] if isinstance(value, tuple) else value for name, value in said.items()}


def _token(settings: Settings) -> str | None:
    if settings.http_token_file is not None:
        return read_tokens(settings.http_token_file)[0].decode()
    return None if settings.http_token is None else settings.http_token.get_secret_value()
