from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchRequest(_message.Message):
    __slots__ = ("question", "service", "operation", "kind", "status", "since", "until", "min_duration", "threshold", "count")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    MIN_DURATION_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    question: str
    service: _containers.RepeatedScalarFieldContainer[str]
    operation: _containers.RepeatedScalarFieldContainer[str]
    kind: _containers.RepeatedScalarFieldContainer[str]
    status: _containers.RepeatedScalarFieldContainer[str]
    since: str
    until: str
    min_duration: str
    threshold: float
    count: int
    def __init__(self, question: _Optional[str] = ..., service: _Optional[_Iterable[str]] = ..., operation: _Optional[_Iterable[str]] = ..., kind: _Optional[_Iterable[str]] = ..., status: _Optional[_Iterable[str]] = ..., since: _Optional[str] = ..., until: _Optional[str] = ..., min_duration: _Optional[str] = ..., threshold: _Optional[float] = ..., count: _Optional[int] = ...) -> None: ...

class LikeRequest(_message.Message):
    __slots__ = ("like", "service", "operation", "kind", "status", "since", "until", "min_duration", "threshold", "count")
    LIKE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    MIN_DURATION_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    like: str
    service: _containers.RepeatedScalarFieldContainer[str]
    operation: _containers.RepeatedScalarFieldContainer[str]
    kind: _containers.RepeatedScalarFieldContainer[str]
    status: _containers.RepeatedScalarFieldContainer[str]
    since: str
    until: str
    min_duration: str
    threshold: float
    count: int
    def __init__(self, like: _Optional[str] = ..., service: _Optional[_Iterable[str]] = ..., operation: _Optional[_Iterable[str]] = ..., kind: _Optional[_Iterable[str]] = ..., status: _Optional[_Iterable[str]] = ..., since: _Optional[str] = ..., until: _Optional[str] = ..., min_duration: _Optional[str] = ..., threshold: _Optional[float] = ..., count: _Optional[int] = ...) -> None: ...

class AnswerResponse(_message.Message):
    __slots__ = ("asked", "model", "text_version", "is_understood", "hits", "compared", "left_out", "since", "step")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    IS_UNDERSTOOD_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    asked: str
    model: str
    text_version: str
    is_understood: bool
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    compared: int
    left_out: LeftOut
    since: str
    step: int
    def __init__(self, asked: _Optional[str] = ..., model: _Optional[str] = ..., text_version: _Optional[str] = ..., is_understood: _Optional[bool] = ..., hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., compared: _Optional[int] = ..., left_out: _Optional[_Union[LeftOut, _Mapping]] = ..., since: _Optional[str] = ..., step: _Optional[int] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("score", "cosine", "text", "text_id", "service", "operation", "kind", "status", "spans", "trend", "first_seen", "last_seen", "milliseconds", "examples")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    TREND_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    score: float
    cosine: float
    text: str
    text_id: str
    service: str
    operation: str
    kind: str
    status: str
    spans: int
    trend: _containers.RepeatedScalarFieldContainer[int]
    first_seen: str
    last_seen: str
    milliseconds: float
    examples: _containers.RepeatedCompositeFieldContainer[Example]
    def __init__(self, score: _Optional[float] = ..., cosine: _Optional[float] = ..., text: _Optional[str] = ..., text_id: _Optional[str] = ..., service: _Optional[str] = ..., operation: _Optional[str] = ..., kind: _Optional[str] = ..., status: _Optional[str] = ..., spans: _Optional[int] = ..., trend: _Optional[_Iterable[int]] = ..., first_seen: _Optional[str] = ..., last_seen: _Optional[str] = ..., milliseconds: _Optional[float] = ..., examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("trace_id", "span_id", "time", "milliseconds", "link")
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    trace_id: str
    span_id: str
    time: str
    milliseconds: float
    link: str
    def __init__(self, trace_id: _Optional[str] = ..., span_id: _Optional[str] = ..., time: _Optional[str] = ..., milliseconds: _Optional[float] = ..., link: _Optional[str] = ...) -> None: ...

class LeftOut(_message.Message):
    __slots__ = ("waiting", "other_model", "other_text_version")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    OTHER_MODEL_FIELD_NUMBER: _ClassVar[int]
    OTHER_TEXT_VERSION_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    other_model: int
    other_text_version: int
    def __init__(self, waiting: _Optional[int] = ..., other_model: _Optional[int] = ..., other_text_version: _Optional[int] = ...) -> None: ...
