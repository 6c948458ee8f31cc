from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from otel_embedder.telemetry.lines import LineWriter
from tests.support.fakes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

# More than any pipe holds.
MUCH = 200_000
NEVER_OPEN = 1_000_000


def notice(missing: int) -> bytes:
    return b"missing: %d\n" % missing


def numbered(count: int) -> list[bytes]:
    return [b"line %d\n" % number for number in range(count)]


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Give both ends of a pipe: where to read, where to write."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            close(end)


def close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return  # a test has done that


def filled(descriptor: int) -> int:
    """Fill a pipe, as one is that nobody reads; give with how many bytes."""
    os.set_blocking(descriptor, False)
    size = 0
    try:
        while True:
            size += os.write(descriptor, b"." * 4_096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
        return size


def read(descriptor: int, size: int) -> bytes:
    """Read so many bytes."""
    content = b""
    while len(content) < size:
        content += os.read(descriptor, size - len(content))
    return content


class Reader:
    """Reads a pipe to its end, in a thread."""

    def __init__(self, descriptor: int) -> None:
        self._content = b""
        self._thread = threading.Thread(target=self._read, args=(descriptor,))
        self._thread.start()

    def _read(self, descriptor: int) -> None:
        while more := os.read(descriptor, 65_536):
            self._content += more

    def all(self) -> bytes:
        self._thread.join(PATIENCE)
        return self._content


def test_lines_are_written_in_their_order() -> None:
    with pipe() as (source, sink):
        writer = LineWriter(sink, notice=notice)
        for line in numbered(100):
            writer.write(line)
        assert writer.finish(PATIENCE)
        os.close(sink)

        assert Reader(source).all() == b"".join(numbered(100))
    assert writer.dropped() == 0


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting() -> None:
    with pipe() as (source, sink):
        held = filled(sink)
        writer = LineWriter(sink, notice=notice, max_bytes=100)
        lines = numbered(50)
        for line in lines:
            writer.write(line)
        dropped = writer.dropped()
        in_time = writer.finish(0.01)

        # It is read again.
        read(source, held)
        reader = Reader(source)
        assert writer.finish(PATIENCE)
        writer.write(b"later\n")
        assert writer.finish(PATIENCE)
        os.close(sink)
        written = reader.all().splitlines(keepends=True)

    kept = len(lines) - dropped
    assert not in_time
    assert 0 < kept < len(lines)
    # Which lines there was room for depends on when the thread took the first.
    assert written == [*(line for line in lines if line in written), notice(dropped), b"later\n"]
    assert len(written) == kept + 2
    assert writer.dropped() == dropped


def test_lines_whose_reader_has_gone_are_counted() -> None:
    with pipe() as (source, sink):
        os.close(source)
        writer = LineWriter(sink, notice=notice)
        for line in numbered(3):
            writer.write(line)
        assert writer.finish(PATIENCE)

    assert writer.dropped() == 3


def test_lines_for_which_a_disk_has_no_room_are_counted() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(full, notice=notice)
    for line in numbered(3):
        writer.write(line)
    assert writer.finish(PATIENCE)
    os.close(full)

    assert writer.dropped() == 3


def test_lines_for_a_descriptor_that_is_closed_are_counted() -> None:
    writer = LineWriter(NEVER_OPEN, notice=notice)
    writer.write(b"line\n")
    assert writer.finish(PATIENCE)

    assert writer.dropped() == 1


def test_a_reader_that_comes_back_gets_lines_and_how_many_are_missing(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    first = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = os.open(fifo, os.O_WRONLY)
    writer = LineWriter(sink, notice=notice)
    writer.write(b"seen\n")
    assert writer.finish(PATIENCE)
    assert os.read(first, 100) == b"seen\n"
    os.close(first)
    for line in numbered(3):
        writer.write(line)
    assert writer.finish(PATIENCE)
    second = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    for line in (b"seen again\n", b"and again\n"):
        writer.write(line)
        assert writer.finish(PATIENCE)

    assert os.read(second, 100) == b"seen again\nmissing: 3\nand again\n"
    os.close(second)
    os.close(sink)


def test_half_a_line_is_not_the_beginning_of_the_next(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    first = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = os.open(fifo, os.O_WRONLY)
    held = filled(sink)
    writer = LineWriter(sink, notice=notice)
    writer.write(b"x" * MUCH + b"\n")
    read(first, held)
    # Its beginning is there, and so the thread at the rest of it.
    os.set_blocking(first, True)
    begun = len(os.read(first, 1))
    second = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(second, True)
    os.close(first)
    os.close(second)  # nobody reads any more
    assert writer.finish(PATIENCE)
    third = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(third, True)
    reader = Reader(third)
    writer.write(b"next\n")
    assert writer.finish(PATIENCE)
    os.close(sink)
    cut, *rest = reader.all().splitlines(keepends=True)

    assert set(cut) == set(b"x\n")
    assert len(cut) + begun < MUCH
    assert rest == [b"next\n", notice(1)]
    os.close(third)


def test_a_pipe_that_wants_no_waiting_gets_its_lines_all_the_same() -> None:
    with pipe() as (source, sink):
        os.set_blocking(sink, False)
        writer = LineWriter(sink, notice=notice)
        writer.write(b"x" * MUCH + b"\n")
        reader = Reader(source)
        assert writer.finish(PATIENCE)
        os.close(sink)

        assert len(reader.all()) == MUCH + 1
    assert writer.dropped() == 0


def test_a_line_for_which_there_is_no_thread_is_counted() -> None:
    with pipe() as (_, sink):
        writer = LineWriter(sink, notice=notice)
        usual = threading.stack_size(2**47)  # more than a process may have
        writer.write(b"dropped\n")
        threading.stack_size(usual)
        writer.write(b"written\n")
        assert writer.finish(PATIENCE)

    assert writer.dropped() == 1


def test_nothing_to_write_is_nothing_to_wait_for() -> None:
    with pipe() as (_, sink):
        assert LineWriter(sink, notice=notice).finish(0)
