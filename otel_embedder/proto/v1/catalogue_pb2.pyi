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

class GroupsRequest(_message.Message):
    __slots__ = ("service", "state", "since", "until", "count")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    service: _containers.RepeatedScalarFieldContainer[str]
    state: _containers.RepeatedScalarFieldContainer[str]
    since: str
    until: str
    count: int
    def __init__(self, service: _Optional[_Iterable[str]] = ..., state: _Optional[_Iterable[str]] = ..., since: _Optional[str] = ..., until: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class GroupsResponse(_message.Message):
    __slots__ = ("groups", "total", "since", "step")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    total: int
    since: str
    step: int
    def __init__(self, groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ..., total: _Optional[int] = ..., since: _Optional[str] = ..., step: _Optional[int] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("id", "title", "state", "service", "type", "count", "trend", "growth", "first_seen", "last_seen", "came_again", "reached", "operations", "examples", "note", "muted_until", "merged", "related", "since", "step")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TREND_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    CAME_AGAIN_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    MUTED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    MERGED_FIELD_NUMBER: _ClassVar[int]
    RELATED_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    state: str
    service: str
    type: str
    count: int
    trend: _containers.RepeatedScalarFieldContainer[int]
    growth: float
    first_seen: str
    last_seen: str
    came_again: str
    reached: _containers.RepeatedScalarFieldContainer[str]
    operations: _containers.RepeatedScalarFieldContainer[str]
    examples: _containers.RepeatedCompositeFieldContainer[Example]
    note: str
    muted_until: str
    merged: _containers.RepeatedScalarFieldContainer[str]
    related: _containers.RepeatedCompositeFieldContainer[RelatedGroup]
    since: str
    step: int
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., state: _Optional[str] = ..., service: _Optional[str] = ..., type: _Optional[str] = ..., count: _Optional[int] = ..., trend: _Optional[_Iterable[int]] = ..., growth: _Optional[float] = ..., first_seen: _Optional[str] = ..., last_seen: _Optional[str] = ..., came_again: _Optional[str] = ..., reached: _Optional[_Iterable[str]] = ..., operations: _Optional[_Iterable[str]] = ..., examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., note: _Optional[str] = ..., muted_until: _Optional[str] = ..., merged: _Optional[_Iterable[str]] = ..., related: _Optional[_Iterable[_Union[RelatedGroup, _Mapping]]] = ..., since: _Optional[str] = ..., step: _Optional[int] = ...) -> None: ...

class RelatedGroup(_message.Message):
    __slots__ = ("id", "title", "service", "cosine")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    service: str
    cosine: float
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., service: _Optional[str] = ..., cosine: _Optional[float] = ...) -> None: ...

class ChangesRequest(_message.Message):
    __slots__ = ("window", "against", "at", "count")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    window: str
    against: str
    at: str
    count: int
    def __init__(self, window: _Optional[str] = ..., against: _Optional[str] = ..., at: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class ChangesResponse(_message.Message):
    __slots__ = ("window", "baseline", "certain", "uncertain", "faster", "gone", "more", "fewer", "visible")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CERTAIN_FIELD_NUMBER: _ClassVar[int]
    UNCERTAIN_FIELD_NUMBER: _ClassVar[int]
    FASTER_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    FEWER_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_FIELD_NUMBER: _ClassVar[int]
    window: Period
    baseline: Period
    certain: _containers.RepeatedCompositeFieldContainer[Change]
    uncertain: _containers.RepeatedCompositeFieldContainer[Change]
    faster: _containers.RepeatedCompositeFieldContainer[Shifted]
    gone: _containers.RepeatedCompositeFieldContainer[Shifted]
    more: _containers.RepeatedCompositeFieldContainer[Shifted]
    fewer: _containers.RepeatedCompositeFieldContainer[Shifted]
    visible: Visible
    def __init__(self, window: _Optional[_Union[Period, _Mapping]] = ..., baseline: _Optional[_Union[Period, _Mapping]] = ..., certain: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., uncertain: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., faster: _Optional[_Iterable[_Union[Shifted, _Mapping]]] = ..., gone: _Optional[_Iterable[_Union[Shifted, _Mapping]]] = ..., more: _Optional[_Iterable[_Union[Shifted, _Mapping]]] = ..., fewer: _Optional[_Iterable[_Union[Shifted, _Mapping]]] = ..., visible: _Optional[_Union[Visible, _Mapping]] = ...) -> None: ...

class Period(_message.Message):
    __slots__ = ("since", "until", "spans", "finest")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    FINEST_FIELD_NUMBER: _ClassVar[int]
    since: str
    until: str
    spans: int
    finest: int
    def __init__(self, since: _Optional[str] = ..., until: _Optional[str] = ..., spans: _Optional[int] = ..., finest: _Optional[int] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("service", "operation", "kind", "calls")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    service: str
    operation: str
    kind: str
    calls: str
    def __init__(self, service: _Optional[str] = ..., operation: _Optional[str] = ..., kind: _Optional[str] = ..., calls: _Optional[str] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("operation", "score", "is_certain", "spans_before", "spans_after", "reasons", "text", "examples_before", "examples_after", "reads_like", "group")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    IS_CERTAIN_FIELD_NUMBER: _ClassVar[int]
    SPANS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SPANS_AFTER_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_AFTER_FIELD_NUMBER: _ClassVar[int]
    READS_LIKE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    score: float
    is_certain: bool
    spans_before: int
    spans_after: int
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    text: str
    examples_before: _containers.RepeatedCompositeFieldContainer[Example]
    examples_after: _containers.RepeatedCompositeFieldContainer[Example]
    reads_like: _containers.RepeatedCompositeFieldContainer[Alike]
    group: str
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ..., score: _Optional[float] = ..., is_certain: _Optional[bool] = ..., spans_before: _Optional[int] = ..., spans_after: _Optional[int] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., text: _Optional[str] = ..., examples_before: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., examples_after: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., reads_like: _Optional[_Iterable[_Union[Alike, _Mapping]]] = ..., group: _Optional[str] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("test", "before", "after", "z", "said")
    TEST_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    Z_FIELD_NUMBER: _ClassVar[int]
    SAID_FIELD_NUMBER: _ClassVar[int]
    test: str
    before: float
    after: float
    z: float
    said: str
    def __init__(self, test: _Optional[str] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., z: _Optional[float] = ..., said: _Optional[str] = ...) -> None: ...

class Alike(_message.Message):
    __slots__ = ("cosine", "service", "operation", "text", "text_id")
    COSINE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_ID_FIELD_NUMBER: _ClassVar[int]
    cosine: float
    service: str
    operation: str
    text: str
    text_id: str
    def __init__(self, cosine: _Optional[float] = ..., service: _Optional[str] = ..., operation: _Optional[str] = ..., text: _Optional[str] = ..., text_id: _Optional[str] = ...) -> None: ...

class Shifted(_message.Message):
    __slots__ = ("operation", "before", "after", "z")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    Z_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    before: float
    after: float
    z: float
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., z: _Optional[float] = ...) -> None: ...

class Visible(_message.Message):
    __slots__ = ("operation", "spans", "failing")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    FAILING_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    spans: int
    failing: float
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ..., spans: _Optional[int] = ..., failing: _Optional[float] = ...) -> None: ...
