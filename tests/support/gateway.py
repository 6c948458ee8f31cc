"""Sidecars behind a Collector that chooses among them, each a process.

As root: the name that stands for the sidecars is in a hosts file of the Collector's own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import urlopen

from tests.support.processes import (
    CONFIGURATIONS,
    REPOSITORY,
    free_address,
    running_collector,
    running_sidecar,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.support.processes import Collector, Sidecar, Sink

COLLECTOR = REPOSITORY / "build" / "otelcol-gateway"
# It looks the name up in a hosts file that only it sees.
WITH_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'
NAME = "sidecars.test"


class Replica:
    """A sidecar of a gateway; what comes out of all of them goes to one backend."""

    def __init__(self, address: str, sink: Sink, settings: Sequence[str]) -> None:
        self.address = address
        self.port = address.rpartition(":")[2]
        self.metrics = free_address()
        self._sink = sink
        self._settings = ("--listen-insecure", "--metrics-listen", self.metrics, *settings)

    @contextmanager
    def running(self) -> Iterator[Sidecar]:
        listen, sink = self.address, self._sink.address
        with running_sidecar(sink, listen=listen, settings=self._settings) as sidecar:
            sidecar.wait_for_model()
            yield sidecar

    def texts(self, source: str) -> int:
        """Give how many texts of requests had their vector from the model, or from the cache."""
        return self.counted(f'embedded_texts_total{{source="{source}"}}')

    def counted(self, metric: str) -> int:
        """Give a counter of its metrics, 0 if it is not there."""
        wanted = f"otel_embedder_{metric} "
        with urlopen(f"http://{self.metrics}/metrics") as answer:
            lines: list[str] = answer.read().decode().splitlines()
        return sum(
            int(float(line.removeprefix(wanted))) for line in lines if line.startswith(wanted)
        )


def write_hosts(file: Path, hosts: Sequence[str]) -> None:
    """Let the name stand for these; in place, since the file is mounted."""
    file.write_text("".join(f"{host} {NAME}\n" for host in hosts))


@contextmanager
def balancing(
    hosts: Path, *, port: str, routing_key: str = "service", timeout: str = "10s"
) -> Iterator[Collector]:
    """Run a Collector that chooses by the file that users are given, among what the name is for."""
    variables = {"OTELCOL_GATEWAY_HOSTNAME": NAME, "OTELCOL_GATEWAY_PORT": port}
    overrides = [
        f"exporters::load_balancing::routing_key: {routing_key}",
        f"exporters::load_balancing::protocol::otlp::timeout: {timeout}",
    ]
    with seeing(hosts, CONFIGURATIONS / "gateway.yaml", variables, overrides) as sender:
        yield sender


@contextmanager
def balancing_among(sockets: Sequence[Path], storage: Path) -> Iterator[Collector]:
    """Run a Collector that chooses by the same file, but among socket files."""
    resolver = "exporters::load_balancing::resolver"
    hostnames = ", ".join(f'"unix://{socket}"' for socket in sockets)
    overrides = [f"{resolver}::dns: null", f"{resolver}::static::hostnames: [{hostnames}]"]
    config, variables = CONFIGURATIONS / "gateway.yaml", {"OTELCOL_STORAGE_DIRECTORY": str(storage)}
    with running_collector(config, variables, overrides=overrides, program=COLLECTOR) as sender:
        yield sender


@contextmanager
def taking_turns(hosts: Path, *, port: str, timeout: str = "10s") -> Iterator[Collector]:
    """Run a Collector that gives each request to the next of what the name is for.

    So does a plain load balancer: gRPC's own, in the configuration for one sidecar.
    """
    variables = {"OTELCOL_SIDECAR_ENDPOINT": f"dns:///{NAME}:{port}"}
    variables["OTELCOL_EMBEDDED_ENDPOINT"] = free_address()
    overrides = [
        "exporters::otlp_grpc/sidecar::balancer_name: round_robin",
        f"exporters::otlp_grpc/sidecar::timeout: {timeout}",
    ]
    with seeing(hosts, CONFIGURATIONS / "sidecar.yaml", variables, overrides) as sender:
        yield sender


@contextmanager
def seeing(
    hosts: Path, config: Path, variables: Mapping[str, str], overrides: Sequence[str]
) -> Iterator[Collector]:
    """Run a Collector with a hosts file of its own."""
    variables = {**variables, "OTELCOL_STORAGE_DIRECTORY": str(hosts.parent / "spans")}
    wrapper = ("unshare", "--mount", "sh", "-c", WITH_HOSTS, str(hosts))
    with running_collector(
        config, variables, overrides=overrides, program=COLLECTOR, wrapper=wrapper
    ) as sender:
        yield sender
