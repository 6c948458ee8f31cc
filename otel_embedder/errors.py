"""The errors of this package, split by what the one who meets them can do.

::

    OtelEmbedderError
    ├── SettingsError             mend the settings; the process ends with 2
    ├── ListenError               free the address, or name another
    ├── WorkerError               see what the worker said itself
    ├── CredentialsError          mend the files of certificates or tokens
    ├── UnreadableFileError       name another file
    │   └── CutOffFileError           go on with what came before, or without the file
    ├── UnwritableFileError       make room for it, or name another
    ├── StoreError                the catalogue can't be read or written; no span minds
    ├── QueryError                a question is wrong: mend the field that it names
    ├── ForeignSiteError          another site's page asks, or by another name
    ├── UnknownEntryError         the catalogue has nothing of that id: ask for another
    ├── GroupError                a group of failures can't become that
    │   └── UnknownGroupError         name one that is there
    ├── SkippedRequestsError      all else was done: look at those; the process ends with 3
    ├── MalformedRequestError     not OTLP: never send it again
    │   ├── ForeignContentError       another signal, or another tool's: traces are wanted
    │   └── FieldError                a field of JSON holds what it can't
    ├── IncompleteRequestError    it never arrived whole
    ├── SurplusRequestError       a call brought more than one: give each its own
    ├── RequestTooLargeError      send it in smaller pieces
    ├── BusyError                 too much at once: send it again in a while
    ├── LoopError                 was here before: mend the next hop; keep it till then
    ├── UnauthenticatedError      no good token came: mend it; keep the spans till then
    ├── EmbeddingError            the span gets a stand-in and goes on
    │   ├── MalformedTraceError       no span can be made of a dict
    │   ├── ModelUnavailableError     the model is missing, corrupt or refused
    │   │   └── DamagedModelError         what was converted is not what was written
    │   ├── EmbeddingFailedError      the model raised on these texts
    │   ├── UnknownWordsError         the model knows no word of the text
    │   ├── EmbeddingTimeoutError     not ready in the time there was
    │   ├── QueueFullError            too many texts wait already
    │   └── EmbedderClosedError       shutting down
    ├── UnhealthyError            a sidecar takes no spans: see its log; the process ends with 1
    └── ExportError               the next hop did not take the spans
        ├── RetryableExportError      may be sent again: the Collector will
        └── PermanentExportError      would be refused again
            └── TooLargeExportError       may pass in smaller pieces

For a receiver the one question is "may it be sent again?"; `status` turns the
answer into a gRPC status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UNAVAILABLE = 14  # the gRPC status code

# What mends a loop, however it is found.
LOOP_REMEDY = (
    "let next_hop lead to a pipeline that does not export to this sidecar, or to a backend"
)


class OtelEmbedderError(Exception):
    """The root of every error that this package raises on purpose."""


class SettingsError(OtelEmbedderError):
    """Raised when settings are wrong; carries every problem found, not only the first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ListenError(OtelEmbedderError):
    """Raised when the address to listen on can't be had."""


class WorkerError(OtelEmbedderError):
    """Raised when one of several workers can't start, and has told why."""


class CredentialsError(OtelEmbedderError):
    """Raised when the files of certificates, keys, authorities or tokens can't be used."""


class UnreadableFileError(OtelEmbedderError):
    """Raised when a file is missing or holds no OTLP traces."""


class CutOffFileError(UnreadableFileError):
    """Raised when a file ends within a request, as one does whose writer was killed."""


class UnwritableFileError(OtelEmbedderError):
    """Raised when a file can't be written, or must not: it is there already, or another's."""


class StoreError(OtelEmbedderError):
    """Raised when a catalogue can't be opened, read or written; says what to do."""


class QueryError(OtelEmbedderError):
    """Raised when what is asked for is put wrong.

    Attributes:
        field: which part of it; empty where it is none of them.

    """

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class ForeignSiteError(OtelEmbedderError):
    """Raised when another site's page asks, or the page is asked for by a name that is not its."""


class UnknownEntryError(OtelEmbedderError):
    """Raised when a catalogue has nothing of the id that it is asked for."""


class GroupError(OtelEmbedderError):
    """Raised when a group of failures can't be merged or split as somebody wants it."""


class UnknownGroupError(GroupError):
    """Raised when a catalogue has no group of failures that is named so."""


class SkippedRequestsError(OtelEmbedderError):
    """Raised when requests were left out that could not be read, and all else is done."""


class MalformedRequestError(OtelEmbedderError):
    """Raised when bytes are not a valid ExportTraceServiceRequest."""


class ForeignContentError(MalformedRequestError):
    """Raised when what should be traces is another signal, or another tool's format.

    Attributes:
        kind: what it seems to be.

    """

    def __init__(self, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class FieldError(MalformedRequestError):
    """Raised when a field holds what it can't; says which, what was found, and what is wanted.

    Attributes:
        path: where the field is, such as `status.code`.
        reason: what is wrong with it.

    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path} {reason}" if path else reason)
        self.path = path
        self.reason = reason

    def within(self, outer: str) -> FieldError:
        """Give the error as seen from an outer field."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return FieldError(self.reason, f"{outer}{dot}{self.path}")


class IncompleteRequestError(OtelEmbedderError):
    """Raised when a call brought no whole request in time."""


class SurplusRequestError(OtelEmbedderError):
    """Raised when a call brings more than one request."""


class RequestTooLargeError(OtelEmbedderError):
    """Raised when a request is larger than is taken in."""


class BusyError(OtelEmbedderError):
    """Raised when there is no room for a request at the moment.

    Attributes:
        retry_after: seconds until there may be.

    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LoopError(OtelEmbedderError):
    """Raised when a request comes back to the sidecar that sent it on."""


class UnauthenticatedError(OtelEmbedderError):
    """Raised when a call brings no token that is good here."""


class EmbeddingError(OtelEmbedderError):
    """Raised when a text could not be given its vector."""

    def loggable(self) -> str:
        """Give what a log may hold of it: nothing of the text."""
        return str(self)


class MalformedTraceError(EmbeddingError):
    """Raised when what was given as a trace can't be read as a span."""


class ModelUnavailableError(EmbeddingError):
    """Raised when no model could be loaded."""


class DamagedModelError(ModelUnavailableError):
    """Raised when a converted model is not what was written.

    Attributes:
        directory: where it is.

    """

    def __init__(self, message: str, *, directory: Path) -> None:
        super().__init__(message)
        self.directory = directory


class EmbeddingFailedError(EmbeddingError):
    """Raised when the model failed on the batch that a text was in.

    Attributes:
        kind: the name of the error that it failed with. The message may quote a text.

    """

    def __init__(self, message: str, *, kind: str = "EmbeddingFailedError") -> None:
        super().__init__(message)
        self.kind = kind

    def loggable(self) -> str:
        """Give what a log may hold of it: nothing of the text."""
        return f"the model failed: {self.kind}"


class UnknownWordsError(EmbeddingError):
    """Raised when a text has no word that the model knows: to it all such texts are one."""

    def __init__(self) -> None:
        super().__init__("the model knows none of the words of a text")


class EmbeddingTimeoutError(EmbeddingError):
    """Raised when a vector was not ready in the time that its span could wait."""


class QueueFullError(EmbeddingError):
    """Raised when so many texts wait that one more would only wait in vain."""


class EmbedderClosedError(EmbeddingError):
    """Raised when the embedder closed before a text had its turn."""


class UnhealthyError(OtelEmbedderError):
    """Raised when a sidecar that was asked how it is does not answer, or is about to stop."""


class ExportError(OtelEmbedderError):
    """Raised when the next hop did not take the spans."""


class RetryableExportError(ExportError):
    """Raised when the same spans may be sent again.

    Attributes:
        retry_after: seconds the next hop asked to wait, or None if it did not ask.
        code: the next hop's gRPC status code, as its number.

    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: int = UNAVAILABLE
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code


class PermanentExportError(ExportError):
    """Raised when the next hop would refuse the same spans again.

    Attributes:
        code: the next hop's gRPC status code, as its number.

    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class TooLargeExportError(PermanentExportError):
    """Raised when the next hop takes no request of this size.

    Attributes:
        limit: bytes that it says it takes, or None if it does not say.

    """

    def __init__(self, message: str, *, code: int, limit: int | None) -> None:
        super().__init__(message, code=code)
        self.limit = limit
