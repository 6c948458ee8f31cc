"""What makes a text of a span, whatever the profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from otel_embedder.text.hiding.secrets import Secrets
from otel_embedder.text.patterns import LATE
from otel_embedder.text.renderer import Renderer
from otel_embedder.text.words_renderer import WordsRenderer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_embedder.text.errors.error_words import ErrorWords
    from otel_embedder.text.options import RenderOptions
    from otel_embedder.text.profiles.profile import Profile
    from otel_embedder.text.renderer import Rendering, Saying
    from otel_embedder.text.row import SpanRow


class TextRenderer(Protocol):
    """Renders spans as texts.

    Attributes:
        text_version: profile and version; vectors compare only within one.

    """

    text_version: str

    def service(self, resource: bytes) -> str:
        """Give the `service.name` of an encoded Resource.

        Raises:
            google.protobuf.message.DecodeError: it is not a Resource.

        """
        ...

    def render(self, encoded: bytes, service: str) -> Rendering:
        """Give the text of an encoded Span of a service.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        ...

    def at_hand(self, spans: Sequence[bytes], service: str, /) -> list[Rendering | None]:
        """Give what `render` does of encoded Spans, where that takes next to no time; else None.

        Raises:
            google.protobuf.message.DecodeError: one is not a Span.

        """
        ...

    def row(self, encoded: bytes, service: str, /) -> SpanRow:
        """Give what is counted of an encoded Span of a service.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        ...

    @property
    def silent_below(self) -> float:
        """Nanoseconds; of a span that took less a text says nothing of that."""
        ...

    def leaves_out(self, attribute: bytes, /) -> bool:
        """Tell whether a text has nothing of an encoded attribute, whatever its plain value.

        It is no where the key is new.
        """
        ...

    def duration(self, started: int, ended: int) -> str:
        """Give all that a text says of when a span was, in nanoseconds."""
        ...

    def error_words(self, encoded: bytes) -> ErrorWords:
        """Give what an encoded Span says of its error, before a text is made of it.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        ...

    def sayings(self, encoded: bytes, service: str) -> list[Saying]:
        """Give what an encoded Span of a service says, and what `render` makes of each.

        Raises:
            google.protobuf.message.DecodeError: it is not a Span.

        """
        ...


def prepare() -> None:
    """Do what would keep the first span waiting for up to 0.1 s, in any thread."""
    for compiled in LATE:
        compiled()


def new_renderer(options: RenderOptions) -> TextRenderer:
    """Give what renders by these options, with nothing remembered.

    Raises:
        ValueError: the template or the profile is wrong.

    """
    profile = options.words_profile()
    if profile is None:
        return Renderer(options)
    return words_renderer(profile, options)


def words_renderer(profile: Profile, options: RenderOptions) -> WordsRenderer:
    """Give what renders by a profile; the options say what is hidden, and the version."""
    secrets = Secrets(options.secret_keys, by_look=options.mask_secrets)
    return WordsRenderer(
        profile,
        secrets,
        options.version_of(profile),
        has_stand_ins=options.has_stand_ins() and profile.has_stand_ins(),
    )
