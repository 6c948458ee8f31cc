"""A log that can't be written, and what it says of a next hop that takes nothing."""

from __future__ import annotations

import json
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from tests.faults import names
from tests.faults.beside import nobody_waits
from tests.faults.deaf import THROUGH_A_FILE, unread_after, until
from tests.faults.fault import fault
from tests.faults.hops import ANSWER_LOST
from tests.faults.next_hop import silence, take, take_and
from tests.support.certificates import Authority
from tests.support.generated import requests_of_every_shape, requests_of_texts
from tests.support.http2 import PlainHttp2
from tests.support.processes import OTEL_EMBEDDER, Sidecar, every_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.deaf import Heard
    from tests.faults.stage import Stage

SPANS = 100
ROUNDS = 3
NOT_FOUND = 404
EMPTY_CALLS = 500
TOLD_SECONDS = 10.0
EMBEDDED_SECONDS = 20.0
# Files are looked at every ten seconds.
RENEWED_SECONDS = 30.0
PAUSE_SECONDS = 0.2
LAST_LINE = "model.loaded"
LOGS_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
# New texts get stand-ins now and then, so that there is something to tell.
IMPATIENT = ("--embed-timeout", "0.2")


@fault("log: its reader has gone")
def reader_gone(stage: Stage) -> None:
    _tell_in_vain(stage, heard=until(LAST_LINE))


@fault("log: its disk is full")
def disk_full(stage: Stage) -> None:
    def fill(sidecar: Sidecar) -> None:
        # No file may grow any more, as on a disk without room.
        _, hard = resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(sidecar.pid, resource.RLIMIT_FSIZE, (0, hard))

    file = str(stage.directory / "log")
    _tell_in_vain(stage, deafen=fill, program=("sh", "-c", THROUGH_A_FILE, file, *OTEL_EMBEDDER))


@fault("log: nobody reads it, and calls are empty", is_alone=True)
def unread(stage: Stage) -> None:
    with stage.next_hop, stage.sidecar(heard=unread_after(LAST_LINE)), stage.client() as client:
        with nobody_waits(stage.address):
            for _ in range(EMPTY_CALLS):
                status = client.send_several([], timeout=5)
                assert status != "DEADLINE_EXCEEDED", "nobody gets an answer any more"
        [request] = requests_of_every_shape(SPANS)
        assert stage.send_once(request).status == "OK"


def _tell_in_vain(
    stage: Stage,
    *,
    heard: Heard = every_line,
    deafen: Callable[[Sidecar], None] = lambda _: None,
    program: Sequence[str] = OTEL_EMBEDDER,
) -> None:
    """Let a sidecar tell of all kinds of things while it works."""
    with stage.next_hop, stage.sidecar(*IMPATIENT, program=program, heard=heard) as sidecar:
        deafen(sidecar)
        with stage.collector(), stage.client() as client:
            for number in range(ROUNDS):
                client.send_several([], timeout=5)
                client.send_to_other(LOGS_METHOD, b"", timeout=5)
                stage.send(requests_of_texts(SPANS, texts=SPANS - number))
                stage.ledger.wait_for_all(timeout=20)
            _send_until_embedded(stage)
        assert stage.metric(names.DROPPED_LINES) > 0, "no metric tells of lines that were dropped"


def _send_until_embedded(stage: Stage) -> None:
    """Send texts that came before, till there are vectors: they are made all the same."""
    end = time.monotonic() + EMBEDDED_SECONDS
    while not stage.ledger.account().sources["model"]:
        assert time.monotonic() < end, "there are no vectors of the model"
        stage.send(requests_of_texts(SPANS, texts=SPANS))
        stage.ledger.wait_for_all(timeout=20)


@fault("log: its reader goes before the model is there")
def reader_gone_at_start(stage: Stage) -> None:
    settings = ("--no-preload", "--model-timeout", "3")
    deaf = until("service.started")
    with stage.next_hop, stage.sidecar(*settings, has_model=False, heard=deaf):
        statuses = {
            stage.send_once(request).status
            for request in requests_of_texts(3 * ROUNDS, texts=3 * ROUNDS, spans_a_request=3)
        }
    assert statuses == {"OK"}, statuses
    sources = stage.ledger.account().sources
    assert sources["model"] > 0, f"vectors from {dict(sources)}"


@fault("log: its reader has gone, and the next hop's authority is another")
def renewed_unheard(stage: Stage) -> None:
    """Let the watcher of certificates tell in vain that a file is bad, then that it is good."""
    first, second = (requests_of_every_shape(SPANS, seed=seed)[0] for seed in (1, 2))
    authority = _certified(stage).file
    settings = ("--next-hop", f"https://{stage.next_hop.address}")
    trusting = ("--next-hop-certificate", str(authority))
    with stage.next_hop, stage.sidecar(*settings, *trusting, heard=until(LAST_LINE)):
        assert stage.send_once(first).status == "OK"
        dropped = stage.metric(names.DROPPED_LINES)
        authority.write_text("no certificate", encoding="utf-8")
        _wait_until_more_are_dropped(stage, dropped)
        stage.next_hop.go_down()
        _certified(stage)
        stage.next_hop.go_up()
        assert stage.send_once(second, timeout=RENEWED_SECONDS).status == "OK"


def _certified(stage: Stage) -> Authority:
    """Give the next hop a certificate of a new authority, in the place of an older one."""
    authority = Authority(stage.directory)
    stage.next_hop.credentials = _credentials(authority)
    return authority


def _wait_until_more_are_dropped(stage: Stage, lines: float) -> None:
    end = time.monotonic() + RENEWED_SECONDS
    while stage.metric(names.DROPPED_LINES) <= lines:
        assert time.monotonic() < end, "the watcher of certificates tells nothing"
        time.sleep(PAUSE_SECONDS)


@fault("log: says when the next hop goes away and comes back")
def next_hop_told_of(stage: Stage) -> None:
    with stage.next_hop, stage.sidecar() as sidecar, stage.collector():
        stage.next_hop.go_down()
        stage.send(requests_of_every_shape(SPANS))
        sidecar.wait_for_event(names.FAILING, timeout=TOLD_SECONDS)
        stage.next_hop.go_up()
        stage.ledger.wait_for_all()
        sidecar.wait_for_event(names.RECOVERED, timeout=TOLD_SECONDS)
        failing = sidecar.lines_with(names.FAILING)
    assert len(failing) == 1, f"it was told {len(failing)} times that the next hop fails"


@fault("log: says when the next hop does not answer", may_duplicate=ANSWER_LOST)
def silence_told_of(stage: Stage) -> None:
    [request] = requests_of_every_shape(SPANS)
    stage.next_hop.usual = take_and(silence(60))
    with stage.next_hop, stage.sidecar() as sidecar, stage.client() as client:
        status = stage.send_once(request, timeout=5).status
        sidecar.wait_for_event(names.FAILING, timeout=TOLD_SECONDS)
        stage.next_hop.usual = take
        assert client.send(request, timeout=10).status == "OK"
        sidecar.wait_for_event(names.RECOVERED, timeout=TOLD_SECONDS)
    assert status in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}, status


@fault("log: http:// to a next hop that speaks TLS")
def plain_to_tls(stage: Stage) -> None:
    [request] = requests_of_every_shape(SPANS)
    server, address = _tls_server(stage)
    with stage.sidecar(next_hop=address) as sidecar:
        status = stage.send_once(request, timeout=3).status
        line = sidecar.wait_for_line(names.FAILING, timeout=TOLD_SECONDS)
    server.stop(grace=None)
    assert status in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}, status
    assert "https://" in line, f"no remedy in {line}"
    _send_well(stage, request)


@fault("log: https:// to a next hop without TLS")
def tls_to_plain(stage: Stage) -> None:
    [request] = requests_of_every_shape(SPANS)
    with (
        stage.next_hop,
        stage.sidecar("--next-hop", f"https://{stage.next_hop.address}") as sidecar,
    ):
        status = stage.send_once(request, timeout=3).status
        sidecar.wait_for_line(names.FAILING, timeout=TOLD_SECONDS)
        strange = [line for line in sidecar.lines_with("") if not _is_json(line)]
    assert status in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}, status
    assert not strange, f"no JSON: {strange[0]}"
    _send_well(stage, request)


@fault("log: http:// to a web server without gRPC")
def to_a_web_server(stage: Stage) -> None:
    [request] = requests_of_every_shape(SPANS)
    with PlainHttp2(NOT_FOUND) as server, stage.sidecar(next_hop=server.address) as sidecar:
        status = stage.send_once(request, timeout=3).status
        line = sidecar.wait_for_line(names.FAILING, timeout=TOLD_SECONDS)
    assert status == "UNIMPLEMENTED", status
    assert "4317" in line, f"no remedy in {line}"
    _send_well(stage, request)


def _tls_server(stage: Stage) -> tuple[grpc.Server, str]:
    """Start a next hop that wants TLS; give its address, too."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", _credentials(Authority(stage.directory)))
    server.start()
    return server, f"127.0.0.1:{port}"


def _credentials(authority: Authority) -> grpc.ServerCredentials:
    pair = authority.issue("next-hop")
    return grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.certificate.read_bytes())])


def _send_well(stage: Stage, request: bytes) -> None:
    """Send once more, to a sidecar whose next hop is right."""
    with stage.next_hop, stage.sidecar(), stage.client() as client:
        assert client.send(request, timeout=10).status == "OK"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
