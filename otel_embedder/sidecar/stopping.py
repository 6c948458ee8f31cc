"""How a process is asked to end, and what is told of it."""

from __future__ import annotations

import asyncio
import signal

from otel_embedder.telemetry.logs import get_logger

SERVICE_STARTED = "service.started"
SERVICE_STOPPING = "service.stopping"
SERVICE_STOPPED = "service.stopped"
HANGUP_IGNORED = "service.hangup_ignored"

log = get_logger()


def stop_on_signals() -> asyncio.Event:
    """Give an event that the first SIGTERM or SIGINT sets; SIGHUP does nothing."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def ask() -> None:
        stop.set()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signal_number)
            # Whoever asks twice does not want to wait.
            signal.signal(signal_number, signal.SIG_DFL)

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, ask)
    # To most servers it says to read their files again. It would end the process at once.
    loop.add_signal_handler(signal.SIGHUP, Hangup().ignore)
    return stop


class Hangup:
    """Ignores SIGHUP, and says so once."""

    def __init__(self) -> None:
        self._is_told = False

    def ignore(self) -> None:
        """Do nothing."""
        if not self._is_told:
            self._is_told = True
            log.info(
                HANGUP_IGNORED, hint="certificates and tokens are read again whenever they change"
            )
