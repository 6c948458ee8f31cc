"""Lines that are written without anybody waiting for it, or hearing that it failed.

A pipe that nobody reads stops whoever writes to it; a full disk and a reader that has gone raise.
What is told of must go on all the same. So a thread writes, behind a bounded queue: what there is
no room for or what can't be written is dropped and counted. Each line is tried, so lines come
through again as soon as they can.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from select import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Some thousand lines; lines that nobody reads are worth no more memory.
MAX_WAITING_BYTES = 1024 * 1024


class LineWriter:
    """Writes lines to a file descriptor, in their order. Safe to use from several threads."""

    def __init__(
        self,
        descriptor: int,
        *,
        notice: Callable[[int], bytes],
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        """Prepare to write; the thread starts with the first line.

        Args:
            descriptor: where they go.
            notice: gives the line that tells how many lines are missing, once lines get through
                again.
            max_bytes: how many bytes may wait.

        """
        self._descriptor = descriptor
        self._notice = notice
        self._max_bytes = max_bytes
        # Nobody who holds it waits for anything else.
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._told = 0
        self._thread: threading.Thread | None = None
        self._is_finishing = False
        # Whether the last that got through was a part of a line.
        self._is_cut = False

    def dropped(self) -> int:
        """How many lines were not written, and will not be."""
        return self._dropped

    def write(self, line: bytes) -> None:
        """Have a line written, its end included, or drop it; so with several that are one."""
        with self._changed:
            if self._waiting_bytes + len(line) > self._max_bytes or not self._started():
                self._dropped += line.count(b"\n")
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()

    def finish(self, timeout: float) -> bool:
        """End the thread as soon as all is written; tell whether that was within so many seconds.

        What is written later starts another one.
        """
        with self._changed:
            thread, self._is_finishing = self._thread, True
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _started(self) -> bool:
        """Tell whether there is a thread to write. A fork leaves it behind, and memory may lack."""
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="log", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        self._is_finishing = False
        return True

    def _run(self) -> None:
        while (line := self._next()) is not None:
            if self._is_written(line):
                self._tell()
            else:
                self._drop(line)

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_finishing)
            if not self._lines:
                self._thread = None
                return None
            line = self._lines.popleft()
            self._waiting_bytes -= len(line)
            return line

    def _drop(self, line: bytes) -> None:
        with self._changed:
            self._dropped += line.count(b"\n")

    def _tell(self) -> None:
        """Tell how many lines are missing, once those that waited meanwhile are there."""
        missing = self._dropped - self._told
        if missing and not self._lines and self._is_written(self._notice(missing)):
            self._told += missing

    def _is_written(self, line: bytes) -> bool:
        # What a full disk left of another line is not to be taken for the beginning of this one.
        rest = whole = b"\n" + line if self._is_cut else line
        try:
            while rest:
                rest = rest[self._write(rest) :]
        except OSError:
            self._is_cut = self._is_cut or len(rest) < len(whole)
            return False
        self._is_cut = False
        return True

    def _write(self, rest: bytes) -> int:
        try:
            return os.write(self._descriptor, rest)
        except BlockingIOError:
            # Somebody who shares the pipe wants no waiting; this thread has the time.
            select((), (self._descriptor,), ())
            return 0
