"""Where encoded Spans have what is each one's own, their ids and times: cut out of many at once.

Whoever sends spans writes the fields of each in one order. So where ids and times stand follows
from how long a span is, and from what stands beside its ids: where the last such span had them the
next one is taken to have them, too, and some passes of numpy cut them out of hundreds of spans.

To cut is to guess. It is right for a span of which all other bytes are those of one that was walked
over, in which these were there: up to each of them both are read in the same way, whatever wrote
them. What is wrong has other bytes than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from otel_embedder.errors import MalformedRequestError
from otel_embedder.otlp.protobuf import Cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from otel_embedder.otlp.volatile import Taken, VolatileValues

    Numbers = npt.NDArray[np.uint64]
    Positions = npt.NDArray[np.int64]
    # Whether they are counted from the begin of a span, or else from its end; and where its own is.
    Form = tuple[bool, tuple[int, ...]]

# A span's own, by their tags, and how many numbers of eight bytes each is: its trace's id, its own,
# its parent's, start and end.
OWN = {0x0A: 2, 0x12: 1, 0x22: 1, 0x39: 1, 0x41: 1}
NUMBERS = sum(OWN.values())
TRACE, SPAN, PARENT_SPAN, STARTED, ENDED = slice(0, 2), 2, 3, 4, 5  # of these numbers
NUMBER_BYTES = 8
# These are its own as well, of any length: to take them out is left to protobuf.
TRACE_STATE, LINKS = 0x1A, 0x6A

# Before and behind all spans: what is read there is 0, as is what a span has not.
MARGIN = bytes(64)
BETWEEN = b"\0"
NOWHERE = 0

# An SDK writes ids first, then the name, of which the length is beside them. A Collector writes ids
# last, behind the name, which ends beside them.
IDS_FIRST, PARENT_FIRST, PAIR = np.uint64(0x100A), np.uint64(0x0822), np.uint64(0xFFFF)
IDS_BYTES, IDS_AND_PARENT_BYTES = 28, 38
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # by which to multiply numbers that are alike

NO_FORM = 0
MAX_FORMS, MAX_KINDS = 4_096, 16_384
KIND_BYTES = 150


class Cuts(NamedTuple):
    """Spans that were cut, as a guess.

    Attributes:
        kinds: of each how long it is and what stands beside its ids, as a number.
        forms: of each the number of the form by which it was cut, NO_FORM where by none.
        own: what was cut out, shape (n, NUMBERS); zeros for what a span has not.
        rests: the bytes of each, with zeros where that stood.
        taken: what was taken out of them beside that.

    """

    kinds: Sequence[int]
    forms: Sequence[int]
    own: Numbers
    rests: Sequence[bytes]
    taken: Taken


class Layouts:
    """Cuts spans, each as one before it that was as long and had the same beside its ids."""

    def __init__(self, volatile: VolatileValues) -> None:
        """Begin without any.

        Args:
            volatile: takes out values that no text has.

        """
        self._volatile = volatile
        self._kinds: dict[int, int] = {}
        self._forms: dict[Form | None, int] = {None: NO_FORM}
        self._are_from_begin = np.zeros(MAX_FORMS, bool)
        self._positions = np.full((MAX_FORMS, NUMBERS), NOWHERE)

    def memory(self) -> int:
        """Give what they take in memory, in bytes."""
        kinds = len(self._kinds) + len(self._forms)
        return KIND_BYTES * kinds + self._positions.nbytes + self._volatile.memory()

    def cut(self, spans: Sequence[bytes]) -> Cuts:
        """Give a guess for each of some encoded Spans, at least one."""
        joined = bytearray(BETWEEN).join([MARGIN, *spans, MARGIN])
        sizes = np.fromiter(map(len, spans), np.int64, len(spans))
        ends = np.cumsum(sizes + len(BETWEEN)) + len(MARGIN)
        begins = ends - sizes
        numbers = _numbers(joined)
        kinds = _kinds(numbers, begins, ends).tolist()
        forms = self._forms_of(kinds, spans)
        anchors = np.where(self._are_from_begin[forms], begins, ends)
        within = self._positions[forms]
        at = np.where(within == NOWHERE, NOWHERE, within + anchors[:, np.newaxis])
        own = numbers[at]
        numbers[at] = 0
        taken = self._volatile.take_out(joined, begins, ends)
        for row in taken.doubtful.tolist():
            forms[row] = NO_FORM
        whole = bytes(joined)
        rests = [*map(whole.__getitem__, map(slice, begins.tolist(), ends.tolist()))]
        return Cuts(kinds, forms, own, rests, taken)

    def is_right(self, cuts: Cuts, place: int, span: bytes) -> bool:
        """Tell whether a guess was right, and if it was not, spare others of its kind."""
        form = cuts.forms[place]
        if form == NO_FORM:
            return False
        if self._forms.get(_form(span)) == form:
            return self._volatile.is_all(cuts.taken.of(place), span)
        self._kinds[cuts.kinds[place]] = NO_FORM
        return False

    def _forms_of(self, kinds: Sequence[int], spans: Sequence[bytes]) -> list[int]:
        forms = [*map(self._kinds.get, kinds)]
        if None not in forms:
            return cast("list[int]", forms)
        return [
            self._learned(kind, span) if form is None else form
            for kind, span, form in zip(kinds, spans, forms, strict=True)
        ]

    def _learned(self, kind: int, span: bytes) -> int:
        """Give the number of the form that a span has, and take it to be that of its kind."""
        if kind not in self._kinds:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[kind] = self._number(_form(span))
        return self._kinds[kind]

    def _number(self, form: Form | None) -> int:
        number = self._forms.get(form, len(self._forms))
        if form is None or number == MAX_FORMS:  # no sender has as many names of another length
            return NO_FORM
        self._forms[form] = number
        self._are_from_begin[number], self._positions[number] = form
        return number


def _numbers(joined: bytearray) -> Numbers:
    """Give the numbers of eight bytes that begin at each byte."""
    return np.ndarray(len(joined) - NUMBER_BYTES + 1, np.uint64, joined, strides=(1,))


def _kinds(numbers: Numbers, begins: Positions, ends: Positions) -> Numbers:
    """Give for each span a number by its length and what stands beside its ids.

    Args:
        numbers: that begin at each byte.
        begins: where each span does.
        ends: where each ends.

    """
    are_first = numbers[begins] & PAIR == IDS_FIRST
    ids = np.where(are_first, begins + IDS_BYTES, ends - IDS_AND_PARENT_BYTES)
    have_parent = numbers[ids] & PAIR == PARENT_FIRST
    before = np.where(have_parent, IDS_AND_PARENT_BYTES, IDS_BYTES)
    beside = np.where(
        are_first, numbers[begins + before] & PAIR, numbers[ends - before - NUMBER_BYTES]
    )
    marks = (ends - begins) * 4 + have_parent * 2 + are_first
    kinds: Numbers = beside * SPREAD ^ marks.astype(np.uint64)
    return kinds


def _form(span: bytes) -> Form | None:
    """Give where a span has its own; None where some of it is odd, or of any length.

    That is a field of a length that OTLP doesn't have, or that is there twice, and what is no Span.
    """
    try:
        found = _found(span)
    except MalformedRequestError:
        return None
    if not found:
        return None
    is_from_begin = span[0] == next(iter(OWN))
    anchor = 0 if is_from_begin else len(span)
    positions = (
        found[tag] + NUMBER_BYTES * number - anchor if tag in found else NOWHERE
        for tag, numbers in OWN.items()
        for number in range(numbers)
    )
    return is_from_begin, tuple(positions)


def _found(span: bytes) -> dict[int, int]:
    """Give where what is a span's own begins, by tag; nothing where some of it is odd."""
    found: dict[int, int] = {}
    cursor = Cursor(span, 0, len(span), level=0)
    while not cursor.is_at_end():
        field = cursor.field()
        if field.tag in {TRACE_STATE, LINKS}:
            return {}
        numbers = OWN.get(field.tag)
        if numbers is None:
            continue
        if field.tag in found or field.end - field.value != numbers * NUMBER_BYTES:
            return {}
        found[field.tag] = field.value
    return found
