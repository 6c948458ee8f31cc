"""Tells how all is, of a catalogue and perhaps of a sidecar."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from otel_embedder import __version__
from otel_embedder.api.status import Beat, Status, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_embedder.api.status import Moment, Sidecar
    from otel_embedder.search.asking.answers import Info
    from otel_embedder.search.catalogue import Catalogue

# To count a large catalogue by service takes a tenth of a second.
INFO_SECONDS = 10.0


class Watch(Protocol):
    """Knows how a sidecar does. Safe to use from several threads."""

    def sidecar(self) -> Sidecar:
        """Tell how it did in the last hour."""
        ...

    def moment(self) -> Moment:
        """Tell how it does."""
        ...

    def troubles(self) -> tuple[Trouble, ...]:
        """Tell what is not as it should be with it."""
        ...


class Telling:
    """Tells how all is. Safe to use from several threads."""

    def __init__(self, catalogue: Callable[[], Catalogue], url: str, watch: Watch | None) -> None:
        """Prepare to tell.

        Args:
            catalogue: gives what is asked.
            url: which it is.
            watch: knows how the sidecar does, if there is one.

        """
        self._catalogue = catalogue
        self._url = url
        self._watch = watch
        self._started = int(time.time())
        self._known: tuple[float, Info] | None = None

    def status(self) -> Status:
        """Tell how all is.

        Raises:
            StoreError: the catalogue can't be read.

        """
        info, watch, catalogue = self._info(), self._watch, self._catalogue()
        return Status(
            version=__version__,
            started=self._started,
            model=catalogue.model,
            text_version=catalogue.text_version,
            url=self._url,
            catalogue=info,
            sidecar=watch.sidecar() if watch else None,
            troubles=(*(watch.troubles() if watch else ()), *self._troubles(info)),
        )

    def beat(self) -> Beat:
        """Tell how all is at the moment.

        Raises:
            StoreError: the catalogue can't be read.

        """
        pulse = self._catalogue().pulse()
        moment = self._watch.moment() if self._watch else None
        return Beat(int(time.time()), pulse.texts, pulse.changed, moment)

    def _info(self) -> Info:
        now = time.monotonic()
        if self._known is None or now - self._known[0] > INFO_SECONDS:
            self._known = now, self._catalogue().info()
        return self._known[1]

    def _troubles(self, info: Info) -> Iterator[Trouble]:
        catalogue = self._catalogue()
        model, text_version = catalogue.model, catalogue.text_version
        if not info.texts:
            yield Trouble(
                "The catalogue is empty.",
                "There is nothing to find yet.",
                "Let spans pass through a sidecar with this catalogue, or put files into it.",
                f"otel-embedder index FILE --catalogue {self._url}",
                "info",
            )
            return
        others = sum(count for name, count in info.models.items() if name != model)
        old = sum(n for name, n in info.text_versions.items() if name != text_version)
        if info.waiting or others or old:
            yield Trouble(
                f"{max(info.waiting + others, old):,} of {info.texts:,} texts are not compared.",
                "Searches leave them out: they have no vector yet, another model's, or are of "
                "another text version.",
                "Embed them anew; what is compared already stays.",
                f"otel-embedder reembed --catalogue {self._url}",
                "slow" if info.waiting + others + old >= info.texts else "info",
            )
