"""How the inputs of each check are changed into others."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fuzz import json_mutation
from tests.fuzz.mutation import Mutator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from google.protobuf.descriptor import Descriptor

    Scramble = Callable[[bytes], bytes]

# Where several stand, whoever reads the input takes it for each of them.
KINDS: Mapping[str, tuple[Descriptor, ...]] = MappingProxyType(
    {
        "wire": (ExportTraceServiceRequest.DESCRIPTOR,),
        "render": (Span.DESCRIPTOR, Span.DESCRIPTOR, Resource.DESCRIPTOR, AnyValue.DESCRIPTOR),
        "receiver": (ExportTraceServiceRequest.DESCRIPTOR,),
    }
)


def mutated(check: str, data: bytes, random: Random, scramble: Scramble) -> bytes:
    """Give another input for a check."""
    if check not in KINDS:
        return json_mutation.mutated(data, random, scramble)
    kind = random.choice(KINDS[check])
    return Mutator(random, scramble).mutated(data, kind)


def crossed(check: str, data: bytes, other: bytes, random: Random, scramble: Scramble) -> bytes:
    """Give an input for a check that has something of two others."""
    if check not in KINDS:
        return json_mutation.mutated(other, random, scramble)
    return Mutator(random, scramble).crossed(data, other, random.choice(KINDS[check]))
