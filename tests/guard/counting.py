"""What code costs whatever the machine does beside it: bytecodes, calls into C, bytes at the peak.

The same code on the same Python counts the same, so a number that moves was moved by a change.
What it can't see is what goes on within a call into C: a pattern that looks further back, a `map`
over more, a parser that copies once more outside Python's memory. Of these `make bench` tells.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    from _typeshed import TraceFunction


class Count(NamedTuple):
    """What something cost.

    Attributes:
        bytecodes: instructions of Python that were run, its libraries' as well.
        calls: of functions written in C, by such instructions.
        peak: bytes of Python's memory that it held at once, beyond what was held before.

    """

    bytecodes: int
    calls: int
    peak: int


class Tally:
    """So many, up to now."""

    def __init__(self) -> None:
        self.sum = 0


def count(act: Callable[[], object]) -> Count:
    """Run something three times, and count something else each time."""
    with _nothing_else():
        with _counting_bytecodes() as bytecodes:
            act()
        with _counting_calls() as calls:
            act()
        tracemalloc.start()
        try:
            act()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return Count(bytecodes.sum, calls.sum, peak)


@contextmanager
def _nothing_else() -> Iterator[None]:
    """Let the garbage collector rest, which comes when it likes."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _counting_calls() -> Iterator[Tally]:
    calls = Tally()

    def note(_: FrameType, event: str, _called: object) -> None:
        calls.sum += event == "c_call"

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


if sys.version_info >= (3, 12):

    @contextmanager
    def _counting_bytecodes() -> Iterator[Tally]:
        bytecodes, monitoring = Tally(), sys.monitoring

        def note(_: CodeType, _offset: int) -> None:
            bytecodes.sum += 1

        tool = monitoring.PROFILER_ID
        monitoring.use_tool_id(tool, __name__)
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, note)
        monitoring.set_events(tool, monitoring.events.INSTRUCTION)
        try:
            yield bytecodes
        finally:
            monitoring.set_events(tool, monitoring.events.NO_EVENTS)
            monitoring.free_tool_id(tool)

else:

    @contextmanager
    def _counting_bytecodes() -> Iterator[Tally]:
        bytecodes = Tally()

        def note(frame: FrameType, event: str, _: object) -> TraceFunction:
            if event == "opcode":
                bytecodes.sum += 1
            else:
                frame.f_trace_lines, frame.f_trace_opcodes = False, True
            return note

        sys.settrace(note)
        try:
            yield bytecodes
        finally:
            sys.settrace(None)
