"""The page's own files: read once, and given as they are or compressed.

Only what was found at the start is there. So no path leads anywhere else.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

    from starlette.requests import Request

INDEX = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
NOT_COMPRESSED = {"image/png"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file.

    Attributes:
        content: as it is.
        compressed: by gzip; None where that saves nothing.
        media_type: what it is.
        etag: changes with the content.

    """

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str


class StaticFiles:
    """Gives the files of a folder, and `index.html` for the folder itself."""

    def __init__(self, folder: Traversable) -> None:
        """Read them."""
        self._files: Mapping[str, StaticFile] = dict(_files(folder, ""))

    def answer(self, request: Request) -> Response | None:
        """Give the file that is asked for; None if there is none."""
        file = self._files.get(request.url.path.removeprefix("/") or INDEX)
        if file is None:
            return None
        headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        content = file.content
        if file.compressed and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["Content-Encoding"] = file.compressed, "gzip"
        return Response(content, headers=headers, media_type=file.media_type)


def _files(folder: Traversable, prefix: str) -> list[tuple[str, StaticFile]]:
    found: list[tuple[str, StaticFile]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _files(each, f"{prefix}{each.name}/")
        elif (ending := PurePath(each.name).suffix) in TYPES:
            found.append((f"{prefix}{each.name}", _read(each, TYPES[ending])))
    return found


def _read(file: Traversable, media_type: str) -> StaticFile:
    content = file.read_bytes()
    compressed = gzip.compress(content, mtime=0)
    is_worth_it = media_type not in NOT_COMPRESSED and len(compressed) < len(content)
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    return StaticFile(content, compressed if is_worth_it else None, media_type, etag)
