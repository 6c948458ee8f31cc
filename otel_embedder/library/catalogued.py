"""The catalogue of a service: what a program stored, and asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from otel_embedder.library.storing import StoredTrace, TraceStorer
from otel_embedder.otlp.spans import span_milliseconds
from otel_embedder.search.asking.queries import ChangesQuery, GroupsQuery, LikeQuery, SearchQuery
from otel_embedder.search.asking.targets import Target
from otel_embedder.search.catalogue import Catalogue
from otel_embedder.search.stores.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from otel_embedder.embedder.bulk import TextEmbedder
    from otel_embedder.search.asking.answers import Answer
    from otel_embedder.search.changes.answers import Changes
    from otel_embedder.search.groups.found import GroupsAnswer
    from otel_embedder.search.links import TraceLink
    from otel_embedder.text.rendering import TextRenderer


class FilterOptions(TypedDict, total=False):
    """Which texts to look at; see `otel_embedder.search.asking.queries.Filters`."""

    service: Sequence[str]
    operation: Sequence[str]
    kind: Sequence[str]
    status: Sequence[str]
    since: str | timedelta | datetime
    until: str | timedelta | datetime
    min_duration: str | timedelta


class GroupOptions(TypedDict, total=False):
    """Which failures to look at; see `otel_embedder.search.asking.queries.GroupsQuery`."""

    service: Sequence[str]
    state: Sequence[str]
    since: str | timedelta | datetime
    until: str | timedelta | datetime
    count: int


class ChangesOptions(TypedDict, total=False):
    """Which times to compare; see `otel_embedder.search.asking.queries.ChangesQuery`."""

    window: str | timedelta
    against: str | timedelta
    at: str | timedelta | datetime
    count: int


class CataloguedTraces:
    """Stores traces, and finds them again. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        renderer: TextRenderer,
        embedder: TextEmbedder,
        *,
        model: Callable[[], str],
        link: TraceLink,
    ) -> None:
        """Open the catalogue.

        Args:
            url: where it is.
            renderer: makes the texts of what is stored.
            embedder: embeds them, and questions.
            model: gives the name of its model.
            link: makes the links of examples.

        Raises:
            StoreError: it can't be opened.

        """
        self._store = open_store(url)
        self._embedder = embedder
        self._model = model
        self._link = link
        self._text_version = renderer.text_version
        self._storer = TraceStorer(self._store, renderer, embedder, model=model)
        self._catalogue: Catalogue | None = None

    def store(self, resource: bytes, span: bytes) -> None:
        """Take a trace, to be written and embedded behind."""
        self._storer.store(StoredTrace(resource, span))

    def settle(self) -> None:
        """Wait until all that was stored can be found."""
        self._storer.settle()

    def answer(self, question: str, **options: object) -> Answer:
        """Give the texts that answer a question in words."""
        query = SearchQuery.model_validate({"question": question, **options})
        return self._asked().search(query)

    def like(self, text: str, span: bytes, **options: object) -> Answer:
        """Give the texts that are like a span that reads so."""
        query = LikeQuery.model_validate({"like": text, **options})
        target = Target(text, milliseconds=span_milliseconds(span))
        return self._asked().like(query, target)

    def groups(self, **options: object) -> GroupsAnswer:
        """Tell which failures there are."""
        return self._asked().groups(GroupsQuery.model_validate(options))

    def changes(self, **options: object) -> Changes:
        """Tell what is different."""
        return self._asked().changes(ChangesQuery.model_validate(options))

    def _asked(self) -> Catalogue:
        # Two that ask at once may make two, of which one is kept.
        if self._catalogue is None:
            self._catalogue = Catalogue(
                self._store,
                self._embedder,
                model=self._model(),
                text_version=self._text_version,
                link=self._link,
            )
        return self._catalogue

    def close(self) -> None:
        """Write what waits, and close the catalogue."""
        self._storer.close()
        self._store.close()
