from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmbedRequest(_message.Message):
    __slots__ = ("texts",)
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, texts: _Optional[_Iterable[str]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("model", "embeddings")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    model: str
    embeddings: _containers.RepeatedCompositeFieldContainer[Embedding]
    def __init__(self, model: _Optional[str] = ..., embeddings: _Optional[_Iterable[_Union[Embedding, _Mapping]]] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("vector", "source")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    vector: _containers.RepeatedScalarFieldContainer[float]
    source: str
    def __init__(self, vector: _Optional[_Iterable[float]] = ..., source: _Optional[str] = ...) -> None: ...

class EmbedSpansRequest(_message.Message):
    __slots__ = ("otlp",)
    OTLP_FIELD_NUMBER: _ClassVar[int]
    otlp: bytes
    def __init__(self, otlp: _Optional[bytes] = ...) -> None: ...

class EmbedSpansResponse(_message.Message):
    __slots__ = ("model", "text_version", "texts", "spans")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    model: str
    text_version: str
    texts: _containers.RepeatedCompositeFieldContainer[SpanText]
    spans: _containers.RepeatedCompositeFieldContainer[EmbeddedSpan]
    def __init__(self, model: _Optional[str] = ..., text_version: _Optional[str] = ..., texts: _Optional[_Iterable[_Union[SpanText, _Mapping]]] = ..., spans: _Optional[_Iterable[_Union[EmbeddedSpan, _Mapping]]] = ...) -> None: ...

class SpanText(_message.Message):
    __slots__ = ("text", "text_id", "embedding")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_ID_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    text: str
    text_id: str
    embedding: Embedding
    def __init__(self, text: _Optional[str] = ..., text_id: _Optional[str] = ..., embedding: _Optional[_Union[Embedding, _Mapping]] = ...) -> None: ...

class EmbeddedSpan(_message.Message):
    __slots__ = ("trace_id", "span_id", "text")
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    trace_id: bytes
    span_id: bytes
    text: int
    def __init__(self, trace_id: _Optional[bytes] = ..., span_id: _Optional[bytes] = ..., text: _Optional[int] = ...) -> None: ...
