"""A file of gzip or zstd, decompressed while it is read.

The standard library's reader of gzip loses what comes before a place where the
file is cut off, and that of zstandard takes the place for the file's end.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Protocol

from zstandard import ZstdDecompressor, ZstdError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

# Of what is compressed. All of it is decompressed at once, so it is not much.
CHUNK_BYTES = 16_384
# A piece of what was decompressed, to be taken to lines or requests.
BUFFER_BYTES = 131_072

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP_FORMAT = zlib.MAX_WBITS | 16


class Frame(Protocol):
    """Decompresses a part of a file that stands alone; others may follow it."""

    @property
    def eof(self) -> bool:
        """Whether its end was met."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""
        ...

    def decompress(self, data: bytes, /) -> bytes:
        """Give what these bytes hold."""
        ...


class Seen(io.RawIOBase):
    """A file of which the beginning was read to look at it, and is read again."""

    def __init__(self, head: bytes, file: io.BufferedReader) -> None:
        self._head = memoryview(head)
        self._file = file

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer as far as there is something; give how far."""
        if not self._head:
            return self._file.readinto1(buffer)
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._head))
        target[:size] = self._head[:size]
        self._head = self._head[size:]
        return size


def seen_again(head: bytes, file: io.BufferedReader) -> io.BufferedReader:
    """Give a file from its beginning, of which so much was read to look at it."""
    return io.BufferedReader(Seen(head, file), BUFFER_BYTES)


def decompressed(file: io.BufferedReader) -> io.BufferedReader:
    """Give a file with its content decompressed, if it is compressed.

    To read it raises EOFError where it is cut off, zlib.error or
    zstandard.ZstdError where it is damaged.
    """
    head = file.read(len(ZSTD_MAGIC))
    file = seen_again(head, file)
    if head.startswith(GZIP_MAGIC):
        return _opened(file, lambda: zlib.decompressobj(GZIP_FORMAT))
    if head.startswith(ZSTD_MAGIC):
        return _opened(file, ZstdDecompressor().decompressobj)
    return file


def decompressed_message(content: bytes) -> bytes:
    """Give a message decompressed, if it is a zstd frame.

    Raises:
        zstandard.ZstdError: it is damaged.

    """
    if not content.startswith(ZSTD_MAGIC):
        return content
    # Unlike `ZstdDecompressor.decompress`, this needs no size in the frame's head.
    frame = ZstdDecompressor().decompressobj()
    decompressed = frame.decompress(content)
    if not frame.eof:
        raise ZstdError("a zstd frame has no end")
    return decompressed


def _opened(file: io.BufferedReader, begin: Callable[[], Frame]) -> io.BufferedReader:
    return io.BufferedReader(_CompressedFile(file, begin), BUFFER_BYTES)


class _CompressedFile(io.RawIOBase):
    """Reads frame after frame."""

    def __init__(self, file: io.BufferedReader, begin: Callable[[], Frame]) -> None:
        self._file = file
        self._begin = begin
        self._frame: Frame | None = None
        self._unused = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer as far as there is something; give how far."""
        while not self._ready and self._decompress_more():
            pass
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decompress_more(self) -> bool:
        chunk = self._unused or self._file.read(CHUNK_BYTES)
        if not chunk and self._frame is not None:
            raise EOFError("the last compressed frame has no end")
        if not chunk:
            return False
        frame = self._frame or self._begin()
        self._ready = memoryview(frame.decompress(chunk))
        self._unused = frame.unused_data
        self._frame = None if frame.eof else frame
        return True
