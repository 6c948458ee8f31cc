"""Keys of old and new semantic conventions that mean the same.

A span says the same before and after its service's SDK is updated, so it must read the same. The
table is that of what was renamed, by OpenTelemetry's own schema (`rename_attributes` of all signals
and of spans in https://opentelemetry.io/schemas/1.44.0) and, where that is silent, by the notes of
its registry on what a deprecated attribute is replaced by.

Not of it are `net.host.name` and `net.host.port`: they name the host of the span itself, as
`server.address` does on a span of a server.
"""

from __future__ import annotations

from typing import NamedTuple

SCHEMA_VERSION = "1.44.0"

RENAMED = {
    # 1.8.0
    "db.cassandra.keyspace": "db.namespace",
    "db.hbase.namespace": "db.namespace",
    # 1.13.0
    "net.peer.ip": "network.peer.address",
    "net.host.ip": "network.local.address",
    # 1.15.0 and 1.22.0
    "http.retry_count": "http.request.resend_count",
    "http.resend_count": "http.request.resend_count",
    # 1.17.0
    "messaging.consumer_id": "messaging.consumer.id",
    "messaging.protocol": "network.protocol.name",
    "messaging.protocol_version": "network.protocol.version",
    "messaging.destination": "messaging.destination.name",
    "messaging.temp_destination": "messaging.destination.temporary",
    "messaging.destination_kind": "messaging.destination.kind",
    "messaging.message_id": "messaging.message.id",
    "messaging.conversation_id": "messaging.message.conversation_id",
    "messaging.message_payload_size_bytes": "messaging.message.body.size",
    "messaging.message.payload_size_bytes": "messaging.message.body.size",
    "messaging.rabbitmq.routing_key": "messaging.rabbitmq.destination.routing_key",
    "messaging.kafka.message_key": "messaging.kafka.message.key",
    "messaging.kafka.partition": "messaging.destination.partition.id",
    "messaging.kafka.destination.partition": "messaging.destination.partition.id",
    "messaging.kafka.tombstone": "messaging.kafka.message.tombstone",
    "messaging.kafka.consumer_group": "messaging.consumer.group.name",
    "messaging.rocketmq.message_type": "messaging.rocketmq.message.type",
    "messaging.rocketmq.message_tag": "messaging.rocketmq.message.tag",
    "messaging.rocketmq.message_keys": "messaging.rocketmq.message.keys",
    # 1.19.0 to 1.21.0
    "faas.execution": "faas.invocation_id",
    "faas.id": "cloud.resource_id",
    "http.user_agent": "user_agent.original",
    "http.client_ip": "client.address",
    "http.method": "http.request.method",
    "http.status_code": "http.response.status_code",
    "http.scheme": "url.scheme",
    "http.url": "url.full",
    "http.server_name": "server.address",
    "http.request_content_length": "http.request.body.size",
    "http.request_content_length_uncompressed": "http.request.body.size",
    "http.response_content_length": "http.response.body.size",
    "http.response_content_length_uncompressed": "http.response.body.size",
    "messaging.kafka.client_id": "messaging.client.id",
    "messaging.rocketmq.client_id": "messaging.client.id",
    "messaging.client_id": "messaging.client.id",
    "net.app.protocol.name": "network.protocol.name",
    "net.app.protocol.version": "network.protocol.version",
    "net.protocol.name": "network.protocol.name",
    "net.protocol.version": "network.protocol.version",
    "net.transport": "network.transport",
    "net.peer.name": "server.address",
    "net.peer.port": "server.port",
    "net.sock.host.addr": "network.local.address",
    "net.sock.host.port": "network.local.port",
    "net.sock.peer.addr": "network.peer.address",
    "net.sock.peer.port": "network.peer.port",
    # 1.25.0 to 1.27.0
    "db.name": "db.namespace",
    "db.operation": "db.operation.name",
    "db.statement": "db.query.text",
    "db.sql.table": "db.collection.name",
    "db.mongodb.collection": "db.collection.name",
    "db.cosmosdb.container": "db.collection.name",
    "db.cassandra.table": "db.collection.name",
    "db.elasticsearch.cluster.name": "db.namespace",
    "deployment.environment": "deployment.environment.name",
    "enduser.id": "user.id",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "message.compressed_size": "rpc.message.compressed_size",
    "message.id": "rpc.message.id",
    "message.type": "rpc.message.type",
    "message.uncompressed_size": "rpc.message.uncompressed_size",
    "messaging.eventhubs.consumer.group": "messaging.consumer.group.name",
    "messaging.kafka.consumer.group": "messaging.consumer.group.name",
    "messaging.kafka.message.offset": "messaging.kafka.offset",
    "messaging.operation": "messaging.operation.type",
    "messaging.rocketmq.client_group": "messaging.consumer.group.name",
    "messaging.servicebus.destination.subscription_name": (
        "messaging.destination.subscription.name"
    ),
    "tls.client.server_name": "server.address",
    # 1.29.0 and 1.30.0
    "code.column": "code.column.number",
    "code.filepath": "code.file.path",
    "code.function": "code.function.name",
    "code.lineno": "code.line.number",
    "db.cassandra.consistency_level": "cassandra.consistency.level",
    "db.cassandra.coordinator.dc": "cassandra.coordinator.dc",
    "db.cassandra.coordinator.id": "cassandra.coordinator.id",
    "db.cassandra.idempotence": "cassandra.query.idempotent",
    "db.cassandra.page_size": "cassandra.page.size",
    "db.cassandra.speculative_execution_count": "cassandra.speculative_execution.count",
    "db.cosmosdb.client_id": "azure.client.id",
    "db.cosmosdb.connection_mode": "azure.cosmosdb.connection.mode",
    "db.cosmosdb.consistency_level": "azure.cosmosdb.consistency.level",
    "db.cosmosdb.regions_contacted": "azure.cosmosdb.operation.contacted_regions",
    "db.cosmosdb.request_charge": "azure.cosmosdb.operation.request_charge",
    "db.cosmosdb.request_content_length": "azure.cosmosdb.request.body.size",
    "db.cosmosdb.status_code": "db.response.status_code",
    "db.cosmosdb.sub_status_code": "azure.cosmosdb.response.sub_status_code",
    "db.elasticsearch.node.name": "elasticsearch.node.name",
    "db.system": "db.system.name",
    "gen_ai.openai.request.seed": "gen_ai.request.seed",
    "process.executable.build_id.profiling": "process.executable.build_id.htlhash",
    "system.cpu.logical_number": "cpu.logical_number",
    "system.network.state": "network.connection.state",
    "vcs.repository.change.id": "vcs.change.id",
    "vcs.repository.change.title": "vcs.change.title",
    "vcs.repository.ref.name": "vcs.ref.head.name",
    "vcs.repository.ref.revision": "vcs.ref.head.revision",
    "vcs.repository.ref.type": "vcs.ref.head.type",
    # 1.32.0 to 1.44.0
    "android.state": "android.app.state",
    "az.namespace": "azure.resource_provider.namespace",
    "az.service_request_id": "azure.service.request.id",
    "container.runtime": "container.runtime.name",
    "enduser.role": "user.roles",
    "feature_flag.evaluation.error.message": "feature_flag.error.message",
    "feature_flag.evaluation.reason": "feature_flag.result.reason",
    "feature_flag.provider_name": "feature_flag.provider.name",
    "feature_flag.variant": "feature_flag.result.variant",
    "gen_ai.openai.request.response_format": "gen_ai.output.type",
    "gen_ai.openai.request.service_tier": "openai.request.service_tier",
    "gen_ai.openai.response.service_tier": "openai.response.service_tier",
    "gen_ai.openai.response.system_fingerprint": "openai.response.system_fingerprint",
    "gen_ai.system": "gen_ai.provider.name",
    "ios.state": "ios.app.state",
    "otel.library.name": "otel.scope.name",
    "otel.library.version": "otel.scope.version",
    "linux.memory.slab.state": "system.memory.linux.slab.state",
    "peer.service": "service.peer.name",
    "process.context_switch_type": "process.context_switch.type",
    "process.paging.fault_type": "system.paging.fault.type",
    "rpc.connect_rpc.error_code": "rpc.response.status_code",
    "rpc.connect_rpc.request.metadata": "rpc.request.metadata",
    "rpc.connect_rpc.response.metadata": "rpc.response.metadata",
    "rpc.grpc.request.metadata": "rpc.request.metadata",
    "rpc.grpc.response.metadata": "rpc.response.metadata",
    "rpc.grpc.status_code": "rpc.response.status_code",
    "rpc.jsonrpc.error_code": "rpc.response.status_code",
    "rpc.jsonrpc.request_id": "jsonrpc.request.id",
    "rpc.jsonrpc.version": "jsonrpc.protocol.version",
    "rpc.system": "rpc.system.name",
    "system.paging.type": "system.paging.fault.type",
    "system.process.status": "process.state",
    "system.processes.status": "process.state",
}

# What is one attribute in one convention and two in the other.
PATH_AND_QUERY = "http.target"
METHOD = "rpc.method"

# Words for values that were renamed: the old ones, and what they are now.
RENAMED_VALUES = {
    "db.system.name": {
        "adabas": "softwareag.adabas",
        "db2": "ibm.db2",
        "dynamodb": "aws.dynamodb",
        "cosmosdb": "azure.cosmosdb",
        "firebird": "firebirdsql",
        "h2": "h2database",
        "hanadb": "sap.hana",
        "informix": "ibm.informix",
        "ingres": "actian.ingres",
        "intersystems_cache": "intersystems.cache",
        "cache": "intersystems.cache",
        "maxdb": "sap.maxdb",
        "mssql": "microsoft.sql_server",
        "mssqlcompact": "microsoft.sql_server",
        "netezza": "ibm.netezza",
        "oracle": "oracle.db",
        "redshift": "aws.redshift",
        "spanner": "gcp.spanner",
    },
    "gen_ai.provider.name": {
        "az.ai.inference": "azure.ai.inference",
        "az.ai.openai": "azure.ai.openai",
        "gemini": "gcp.gemini",
        "vertex_ai": "gcp.vertex_ai",
        "xai": "x_ai",
    },
    "messaging.operation.type": {"deliver": "process", "publish": "send"},
    "rpc.system.name": {"apache_dubbo": "dubbo", "connect_rpc": "connectrpc"},
}


class Named(NamedTuple):
    """A value, and the key that it has in the present conventions.

    Attributes:
        key: the key.
        value: the value in words.

    """

    key: str
    value: str


def only_name(key: str) -> str | None:
    """Give the present name of a key; None where that depends on the value."""
    name = RENAMED.get(key, key)
    return None if name in {PATH_AND_QUERY, METHOD} else name


def present(key: str, value: str) -> list[Named]:
    """Give an attribute by its present names: nearly always the one that it has."""
    key = RENAMED.get(key, key)
    if key == PATH_AND_QUERY:
        path, _, query = value.partition("?")
        return [Named("url.path", path), *([Named("url.query", query)] if query else ())]
    if key == METHOD and "/" in value:
        # A full name, as `rpc.service` and `rpc.method` made it together before.
        service, _, method = value.strip("/").rpartition("/")
        return [Named("rpc.service", service), Named(METHOD, method)]
    return [Named(key, RENAMED_VALUES.get(key, {}).get(value, value))]
