"""Which spans show which fault that was injected: a table with tabs, a row a span."""

from __future__ import annotations

import csv
import gzip
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from otel_embedder.errors import UnreadableFileError
from otel_embedder.fields import complaint
from otel_embedder.otlp.spans import SpanIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

GZIP = b"\x1f\x8b"

TraceId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")]
SpanId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{16}$")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
IN_CALLERS = "network_delay"
FAULTY = "fault"


class Fault(NamedTuple):
    """A fault, as a span shows it.

    Attributes:
        injection: which time it was done: spans of one injection are no evidence for another.
        type: what was done.
        service: whom it was done to.

    """

    injection: str
    type: str
    service: str


class Window(NamedTuple):
    """Some time of an injection.

    Attributes:
        fault: what was injected.
        is_faulty: whether the fault was there then; else all was as it should be.

    """

    fault: Fault
    is_faulty: bool


class Row(BaseModel):
    """A row of the table. Columns of other names are not looked at.

    Attributes:
        trace_id: of the span, in hex.
        span_id: of the span, in hex.
        fault_id: the injection, during which or before which it was.
        fault_type: what was done.
        fault_service: whom it was done to.
        symptom: whether the fault shows in this span. Where this column is missing it is what
            the next three say.
        window: `fault` while the fault was there.
        span_in_fault_service: whether it is one of that service's own.
        span_calls_fault_service: whether it is a call of that service: in these a delayed
            network shows, and every other fault in the service's own.

    """

    model_config = ConfigDict(frozen=True)

    trace_id: TraceId
    span_id: SpanId
    fault_id: Words
    fault_type: Words
    fault_service: Words
    symptom: bool | None = None
    window: str | None = None
    span_in_fault_service: bool | None = None
    span_calls_fault_service: bool | None = None

    @model_validator(mode="after")
    def _tells(self) -> Row:
        told = (self.window, self.span_in_fault_service, self.span_calls_fault_service)
        if self.symptom is None and None in told:
            raise ValueError(
                "needs a column symptom (1 or 0), or all of window, span_in_fault_service and "
                "span_calls_fault_service"
            )
        return self

    def is_symptom(self) -> bool:
        """Tell whether the fault shows in the span."""
        if self.symptom is not None:
            return self.symptom
        is_in_callers = self.fault_type == IN_CALLERS
        shows = self.span_calls_fault_service if is_in_callers else self.span_in_fault_service
        return self.is_faulty() and bool(shows)

    def is_faulty(self) -> bool:
        """Tell whether the fault was there at that time."""
        return self.window == FAULTY

    def fault(self) -> Fault:
        """Give the fault."""
        return Fault(self.fault_id, self.fault_type, self.fault_service)


def read_labels(file: Path) -> dict[SpanIds, Fault]:
    """Give the spans in which faults show, and which; the table may be compressed by gzip.

    Raises:
        UnreadableFileError: it is no such table; names the line and the column.

    """
    return {ids: row.fault() for ids, row in _labelled(file) if row.is_symptom()}


def read_windows(file: Path) -> dict[SpanIds, Window]:
    """Give the window of each span of which the table tells one, by its column `window`.

    Raises:
        UnreadableFileError: it is no such table; names the line and the column.

    """
    return {ids: Window(row.fault(), row.is_faulty()) for ids, row in _labelled(file) if row.window}


def _labelled(file: Path) -> Iterator[tuple[SpanIds, Row]]:
    with opened_table(file) as lines:
        for row in _rows(file, lines):
            yield _ids(row), row


@contextmanager
def opened_table(file: Path) -> Iterator[TextIO]:
    """Open a table, which may be compressed by gzip.

    Raises:
        UnreadableFileError: it can't be read, or is none.

    """
    try:
        with _opened(file) as lines:
            yield lines
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableFileError(f"{file} can't be read: {reason}") from error
    except (EOFError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(f"{file} is no table with tabs: {error}") from error


def _opened(file: Path) -> TextIO:
    with file.open("rb") as beginning:
        is_gzip = beginning.read(len(GZIP)) == GZIP
    return (
        gzip.open(file, "rt", encoding="utf-8-sig") if is_gzip else file.open(encoding="utf-8-sig")
    )


def _rows(file: Path, lines: TextIO) -> Iterator[Row]:
    reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    required = [name for name, field in Row.model_fields.items() if field.is_required()]
    missing = [name for name in required if name not in (reader.fieldnames or ())]
    if missing:
        raise UnreadableFileError(
            f"{file}, line 1: lacks the columns {', '.join(missing)}; they are parted by tabs"
        )
    for row in reader:
        yield _read(file, reader.line_num, row)


def _read(file: Path, line: int, row: Mapping[str | None, object]) -> Row:
    try:
        return Row.model_validate({key: value for key, value in row.items() if key})
    except ValidationError as error:
        _refuse(file, line, error)


def _refuse(file: Path, line: int, error: ValidationError) -> NoReturn:
    detail = error.errors()[0]
    message = complaint(detail)
    column = ".".join(map(str, detail["loc"]))
    raise UnreadableFileError(
        f"{file}, line {line}: {column}: {message}" if column else f"{file}, line {line}: {message}"
    ) from error


def _ids(row: Row) -> SpanIds:
    return SpanIds(bytes.fromhex(row.trace_id), bytes.fromhex(row.span_id))
