"""The file of a Unix socket: made room for, and shared with the group.

gRPC unlinks whatever socket is at the path before it binds there, and would so
take it from a sidecar that is at work. At the end it removes its own.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from otel_embedder.errors import ListenError

if TYPE_CHECKING:
    from pathlib import Path

# Owner and group: a Collector of another user is let in by its group.
MODE = 0o660
# Only the kernel is asked.
PROBE_SECONDS = 1.0


def make_room(path: Path) -> None:
    """Remove the socket of a process that is gone, if there is one.

    Raises:
        ListenError: another process listens there, or something else is in the way.

    """
    if not (path.exists() or path.is_symlink()):
        return
    if not path.is_socket():
        raise ListenError(f"listen: {path} is there already, and no socket; name another")
    try:
        _remove_if_dead(path)
    except OSError as error:
        raise ListenError(f"listen: cannot listen on {path}: {error.strerror or error}") from error


def _remove_if_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ListenError(f"listen: another process listens on {path} already")


def share(path: Path) -> None:
    """Let owner and group connect to a socket; as it is bound, its owner alone can."""
    path.chmod(MODE)
