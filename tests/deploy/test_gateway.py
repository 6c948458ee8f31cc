"""Two sidecars behind a Collector that balances, by the file that users are given.

`make test-gateway`, as root: the name that stands for the sidecars is in a hosts file of the
Collector's own.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from tests.support.charts import (
    METRICS_OFF,
    collector_config,
    elsewhere,
    embedder,
    manifests,
    settings_of,
    typed,
)
from tests.support.comparison import delivery, differences, spans_in
from tests.support.documents import typed_commands
from tests.support.gateway import Replica, balancing, balancing_among, seeing, write_hosts
from tests.support.otlp_samples import new_span, request
from tests.support.processes import (
    OTEL_EMBEDDER,
    Sidecar,
    Sink,
    free_address,
    own_environment,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.gateway, pytest.mark.timeout(180)]

HOSTS = ("127.0.0.2", "127.0.0.3")

# In words, for a text has no numbers.
VERBS = ("buy", "cancel", "count", "find", "list", "move", "open", "pay", "send", "store")
NOUNS = (
    *("apple", "basket", "book", "camera", "chair", "clock", "coat", "cup", "desk", "door"),
    *("engine", "flower", "garden", "hammer", "island", "jacket", "kettle", "lamp", "mirror"),
    *("needle", "orange", "pencil", "ribbon", "spoon"),
)
SERVICES, TEXTS = len(NOUNS), len(NOUNS) * len(VERBS)


@pytest.fixture(name="sink")
def _sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(name="replicas")
def _replicas(model_cache: Path, sink: Sink) -> list[Replica]:
    settings = ("--model-cache", str(model_cache))
    port = free_address().rpartition(":")[2]
    return [Replica(f"{host}:{port}", sink, settings) for host in HOSTS]


@pytest.fixture(name="hosts")
def _hosts(tmp_path: Path) -> Path:
    file = tmp_path / "hosts"
    write_hosts(file, HOSTS)
    return file


def traffic() -> list[bytes]:
    """Give a request of each service, with texts of its own."""
    return [
        request(*(new_span(f"{verb} {noun}") for verb in VERBS), service=noun).SerializeToString()
        for noun in NOUNS
    ]


def test_each_service_has_a_sidecar_that_remembers_its_texts(
    replicas: list[Replica], hosts: Path, sink: Sink
) -> None:
    sent: list[bytes] = []
    with (
        replicas[0].running(),
        replicas[1].running(),
        balancing(hosts, port=replicas[0].port) as sender,
    ):
        for _ in range(3):
            # The next ones when these have come: what is still computed is not remembered yet.
            sent += traffic()
            send(sender.address, sent[-SERVICES:])
            sink.wait_for_all(sent)
        computed = [replica.texts("model") for replica in replicas]
        remembered = [replica.texts("cache") for replica in replicas]

    assert differences(spans_in(sent), delivery(sink.requests).spans) == []
    assert min(computed) > 0
    # As with one sidecar: each text was computed once, by whichever it is.
    assert sum(computed) == TEXTS
    assert sum(remembered) == 2 * TEXTS


def test_each_service_has_a_worker_behind_a_socket_file_of_its_own(
    model_cache: Path, sink: Sink, tmp_path: Path
) -> None:
    sockets = [tmp_path / f"{number}.sock" for number in range(2)]
    listen = ",".join(f"unix:{socket}" for socket in sockets)
    workers = Replica(listen, sink, ("--workers", "2", "--model-cache", str(model_cache)))
    sent: list[bytes] = []
    with workers.running() as supervisor, balancing_among(sockets, tmp_path / "spans") as sender:
        for _ in range(2):
            sent += traffic()
            send(sender.address, sent[-SERVICES:])
            sink.wait_for_all(sent)
        # The supervisor is told each second.
        for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.1), reraise=True):
            with attempt:
                assert workers.texts("model") == workers.texts("cache") == TEXTS
        for start in supervisor.events("worker.started"):
            sent += traffic()
            send(sender.address, sent[-SERVICES:])
            os.kill(start["pid"], signal.SIGKILL)
            sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def test_a_sidecar_that_starts_again_loses_none(
    replicas: list[Replica], hosts: Path, sink: Sink
) -> None:
    first, second = replicas
    sent = traffic()
    with second.running(), balancing(hosts, port=replicas[0].port) as sender:
        with first.running() as sidecar:
            send(sender.address, sent)
            sink.wait_for_any()
            sidecar.kill()
        sent += traffic()
        send(sender.address, sent[SERVICES:])
        with first.running():
            sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def test_the_spans_of_a_sidecar_that_has_gone_go_to_another(
    replicas: list[Replica], hosts: Path, sink: Sink
) -> None:
    first, second = replicas
    sent = traffic()
    with second.running(), balancing(hosts, port=replicas[0].port) as sender:
        with first.running():
            send(sender.address, sent)
            sink.wait_for_all(sent)
        sent += traffic()
        send(sender.address, sent[SERVICES:])
        write_hosts(hosts, HOSTS[1:])
        sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def test_spans_pass_through_the_gateway_of_the_documents_command(
    tmp_path: Path, model_cache: Path, sink: Sink
) -> None:
    """With as many sidecars as it says, found by the name that it gives them."""
    (command,) = typed_commands("The gateway")
    each = manifests(typed(command))
    config = collector_config(each)
    name = config["exporters"]["load_balancing"]["resolver"]["dns"]["hostname"]
    (workload,) = [manifest for manifest in each if manifest["kind"] == "Deployment"]
    hosts = [f"127.0.0.{number + 2}" for number in range(workload["spec"]["replicas"])]
    apps, port = free_address(), free_address().rpartition(":")[2]
    file, seen = tmp_path / "collector.yaml", tmp_path / "hosts"
    seen.write_text("".join(f"{host} {name}\n" for host in hosts))
    addresses = {
        "0.0.0.0:4317": apps,
        "0.0.0.0:13133": free_address(),
        "tempo:4317": sink.address,
        "/var/lib/otelcol/spans": str(tmp_path / "spans"),
    }
    file.write_text(elsewhere(config, {**addresses, "'4327'": f"'{port}'"}))
    *words, _ = embedder(each)["args"]
    variables = own_environment({"OTEL_EMBEDDER_MODEL_CACHE": str(model_cache)})
    sent = traffic()
    with ExitStack() as stack:
        for host in hosts:
            own = {**addresses, "0.0.0.0:4327": f"{host}:{port}", "0.0.0.0:9464": free_address()}
            settings = tmp_path / f"{host}.yaml"
            settings.write_text(elsewhere(settings_of(each), own))
            command_line = [*OTEL_EMBEDDER, *words, str(settings)]
            stack.enter_context(Sidecar(command_line, variables)).wait_for_model()
        stack.enter_context(seeing(seen, file, {}, [METRICS_OFF]))
        send(apps, sent)
        sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def assert_all_came(sent: Sequence[bytes], sink: Sink) -> None:
    """Make sure that each came, unchanged; twice, perhaps, if it was on its way at an end."""
    came = delivery(sink.requests).spans

    assert spans_in(sent) - came == Counter()
    assert set(came) == set(spans_in(sent))
