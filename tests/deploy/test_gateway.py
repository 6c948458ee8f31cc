"""Two sidecars behind a Collector that balances, by the file that users are given.

`make test-gateway`, as root: the name that stands for the sidecars is in a hosts file of the
Collector's own.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.support.comparison import delivery, differences, spans_in
from tests.support.otlp_samples import new_span, request
from tests.support.processes import (
    CONFIGURATIONS,
    REPOSITORY,
    Sink,
    free_address,
    running_collector,
    running_sidecar,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.processes import Collector, Sidecar

pytestmark = [pytest.mark.gateway, pytest.mark.timeout(180)]

COLLECTOR = REPOSITORY / "build" / "otelcol-gateway"
# It looks the name up in a hosts file that only it sees.
WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'
NAME = "sidecars.test"
HOSTS = ("127.0.0.2", "127.0.0.3")

# In words, for a text has no numbers.
VERBS = ("buy", "cancel", "count", "find", "list", "move", "open", "pay", "send", "store")
NOUNS = (
    *("apple", "basket", "book", "camera", "chair", "clock", "coat", "cup", "desk", "door"),
    *("engine", "flower", "garden", "hammer", "island", "jacket", "kettle", "lamp", "mirror"),
    *("needle", "orange", "pencil", "ribbon", "spoon"),
)
SERVICES, TEXTS = len(NOUNS), len(NOUNS) * len(VERBS)


class Replica:
    """A sidecar of the gateway; what comes out of all of them goes to one backend."""

    def __init__(self, address: str, sink: Sink, cache: Path) -> None:
        self.address = address
        self.metrics = free_address()
        self._sink = sink
        self._settings = ("--model-cache", str(cache), "--metrics-listen", self.metrics)

    @contextmanager
    def running(self) -> Iterator[Sidecar]:
        settings = ("--listen-insecure", *self._settings)
        listen, sink = self.address, self._sink.address
        with running_sidecar(sink, listen=listen, settings=settings) as sidecar:
            sidecar.wait_for_model()
            yield sidecar

    def texts(self, source: str) -> int:
        """Give how many texts of requests had their vector from the model, or from the cache."""
        wanted = f'otel_embedder_embedded_texts_total{{source="{source}"}} '
        with urlopen(f"http://{self.metrics}/metrics") as answer:
            lines: list[str] = answer.read().decode().splitlines()
        return sum(int(float(line.removeprefix(wanted))) for line in lines if wanted in line)


@pytest.fixture(name="sink")
def _sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(name="replicas")
def _replicas(model_cache: Path, sink: Sink) -> list[Replica]:
    port = free_address().rpartition(":")[2]
    return [Replica(f"{host}:{port}", sink, model_cache) for host in HOSTS]


@pytest.fixture(name="hosts")
def _hosts(tmp_path: Path) -> Path:
    file = tmp_path / "hosts"
    write_hosts(file, HOSTS)
    return file


def write_hosts(file: Path, hosts: Sequence[str]) -> None:
    """Let the name stand for these; in place, since the file is mounted."""
    file.write_text("".join(f"{host} {NAME}\n" for host in hosts))


@contextmanager
def balancing(replicas: Sequence[Replica], hosts: Path) -> Iterator[Collector]:
    variables = {
        "OTELCOL_GATEWAY_HOSTNAME": NAME,
        "OTELCOL_GATEWAY_PORT": replicas[0].address.rpartition(":")[2],
        "OTELCOL_STORAGE_DIRECTORY": str(hosts.parent / "spans"),
    }
    config = CONFIGURATIONS / "gateway.yaml"
    wrapper = ("unshare", "--mount", "sh", "-c", WITH_HOSTS, str(hosts))
    with running_collector(config, variables, program=COLLECTOR, wrapper=wrapper) as sender:
        yield sender


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
    with replicas[0].running(), replicas[1].running(), balancing(replicas, hosts) as sender:
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


def test_a_sidecar_that_starts_again_loses_none(
    replicas: list[Replica], hosts: Path, sink: Sink
) -> None:
    first, second = replicas
    sent = traffic()
    with second.running(), balancing(replicas, hosts) as sender:
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
    with second.running(), balancing(replicas, hosts) as sender:
        with first.running():
            send(sender.address, sent)
            sink.wait_for_all(sent)
        sent += traffic()
        send(sender.address, sent[SERVICES:])
        write_hosts(hosts, HOSTS[1:])
        sink.wait_for_all(sent)

    assert_all_came(sent, sink)


def assert_all_came(sent: Sequence[bytes], sink: Sink) -> None:
    """Make sure that each came, unchanged; twice, perhaps, if it was on its way at an end."""
    came = delivery(sink.requests).spans

    assert spans_in(sent) - came == Counter()
    assert set(came) == set(spans_in(sent))
