"""Asks for a load, and says what bears it: `make capacity`."""

from __future__ import annotations

import click

from tests.capacity.sizing import ADDED_BYTES, Load, told

AT_LEAST_ONE = click.IntRange(min=1)


@click.command()
@click.option("--spans", prompt="Spans a second", type=AT_LEAST_ONE)
@click.option("--services", prompt="Services", type=AT_LEAST_ONE)
@click.option("--texts", prompt="Distinct texts a minute", type=AT_LEAST_ONE)
@click.option("--span-bytes", default=600, type=AT_LEAST_ONE, help="Of a span.", show_default=True)
@click.option(
    "--request-spans", default=512, type=AT_LEAST_ONE, help="A request.", show_default=True
)
@click.option("--encoding", default="array", type=click.Choice([*ADDED_BYTES]), show_default=True)
@click.option("--catalogue", default=0, type=int, help="Texts each keeps.", show_default=True)
@click.option("--page", is_flag=True, help="Each shows them.")
@click.option("--cores", default=2, type=AT_LEAST_ONE, help="Of a replica.", show_default=True)
def main(
    *,
    spans: int,
    services: int,
    texts: int,
    span_bytes: int,
    request_spans: int,
    encoding: str,
    cores: int,
    catalogue: int,
    page: bool,
) -> None:
    """Say how many sidecars a load needs, and how large; what isn't given is asked for.

    One that runs already tells its spans: otel_embedder_receiver_accepted_spans_total.
    """
    load = Load(spans, services, texts, span_bytes, request_spans, encoding, cores, catalogue, page)
    click.echo(told(load))


if __name__ == "__main__":
    main()
