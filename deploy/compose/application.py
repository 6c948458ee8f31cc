"""An application, as an example: OpenTelemetry's SDK, and nothing that knows of a sidecar.

Where its spans go, and what it is called, its environment says: see compose.yaml.
"""

import time

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

ORDERS = 20

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("orders")
for number in range(ORDERS):
    with (
        tracer.start_as_current_span("POST /orders", attributes={"order.items": number % 3 + 1}),
        tracer.start_as_current_span("charge card"),
    ):
        time.sleep(0.01)
provider.shutdown()
