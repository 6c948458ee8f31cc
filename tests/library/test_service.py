"""The library as its users meet it. Tests of the first design keep the names that it gave them."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from otel_embedder import EmbeddingService
from otel_embedder.embedder.embedding import MAX_BATCH_SIZE
from otel_embedder.embedder.known import CacheInfo
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.stand_in import STAND_IN_MODEL, stand_in
from otel_embedder.errors import (
    EmbedderClosedError,
    EmbeddingFailedError,
    MalformedTraceError,
    ModelUnavailableError,
    UnknownWordsError,
)
from otel_embedder.library.trace import to_otlp
from otel_embedder.text.options import RenderOptions
from tests.sidecar.test_sidecar import sidecar, vector_of
from tests.support.fakes import DIMENSION, FAKE_MODEL, FakeModel, KnowingNothing, embedding_of
from tests.support.processes import run_python
from tests.support.tiny_bert import write_tiny_bert

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from otel_embedder.embedder.embedding import Vector
    from otel_embedder.library.service import ServiceOptions
    from otel_embedder.library.trace import Trace
    from tests.support.peers import FakeNextHop

TEXT = (
    "mahavishnu process_repository ERROR in 2500ms attributes: "
    "error.message=connection timeout http.status_code=500 repo=fastblocks"
)

TEMPLATE = RenderOptions(profile="template")

EMBED = """
import sys
from pathlib import Path
from otel_embedder import EmbeddingService
from otel_embedder.errors import EmbedderClosedError

service = EmbeddingService.sync(model_name=sys.argv[1], model_cache=Path(sys.argv[2]))
print(service.embed_trace({"name": "a b c"}).shape)
"""
EMBED_IN_A_FORK = f"""
{EMBED}
import os
if (child := os.fork()) == 0:
    try:
        service.embed_trace({{"name": "a b c"}})
    except EmbedderClosedError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def service(model: FakeModel) -> AsyncIterator[EmbeddingService]:
    async with EmbeddingService(model=model, cache_size=3, text=TEMPLATE) as service:
        yield service


@pytest.fixture
async def real_service(model_cache: Path) -> AsyncIterator[EmbeddingService]:
    async with EmbeddingService(model_cache=model_cache) as service:
        yield service


def is_vector(vector: Vector) -> bool:
    return (
        vector.shape == (DIMENSION,)
        and vector.dtype == np.float32
        and bool(np.isfinite(vector).all())
        and abs(float(np.linalg.norm(vector)) - 1) < 1e-5
    )


async def test_text_construction_success(
    service: EmbeddingService, sample_trace_dict: Trace
) -> None:
    assert await service.render(sample_trace_dict) == TEXT


async def test_text_construction_empty_attributes(
    service: EmbeddingService, sample_trace_dict: Trace
) -> None:
    sample_trace_dict["attributes"] = {}

    text = await service.render(sample_trace_dict)

    assert text == "mahavishnu process_repository ERROR in 2500ms attributes:"


async def test_cache_key_generation(
    service: EmbeddingService, model: FakeModel, sample_trace_dict: Trace
) -> None:
    """The key is the text, which ids and order are not part of, or what the caller says it is."""
    attributes = dict(reversed([*sample_trace_dict["attributes"].items()]))
    alike: Trace = {**sample_trace_dict, "trace_id": "0" * 32, "attributes": attributes}
    other: Trace = {**sample_trace_dict, "operation": "delete_repository"}

    one, same, differs, keyed, of_that_key = [
        await service.embed_trace(trace, cache_key=key)
        for trace, key in [
            *((sample_trace_dict, None), (alike, None), (other, None)),
            *((sample_trace_dict, "release"), (other, "release")),
        ]
    ]

    assert len(model.batches) == 2
    assert (one == same).all()
    assert (one != differs).any()
    assert (keyed == of_that_key).all()


async def test_fallback_embedding_deterministic(sample_trace_dict: Trace) -> None:
    vectors = []
    for _ in range(2):
        failing = FakeModel({TEXT: RuntimeError("out of memory")})
        async with EmbeddingService(model=failing, text=TEMPLATE) as service:
            vectors.append(await service.embed_trace(sample_trace_dict))

    assert (vectors[0] == vectors[1]).all()
    assert (vectors[0] == stand_in(sample_trace_dict["trace_id"], DIMENSION).vector).all()


async def test_fallback_embedding_dimension(sample_trace_dict: Trace) -> None:
    failing = FakeModel({TEXT: RuntimeError("out of memory")})
    async with EmbeddingService(model=failing, text=TEMPLATE) as service:
        vector = await service.embed_trace(sample_trace_dict)

    assert is_vector(vector)


async def test_cache_hit_miss(
    service: EmbeddingService, model: FakeModel, sample_trace_dict: Trace
) -> None:
    assert service.cache_info() == CacheInfo(hits=0, misses=0, maxsize=3, currsize=0)

    for name in ("a", "a", "b", "c", "d", "a"):  # the first is forgotten for the fourth
        await service.embed_trace({**sample_trace_dict, "operation": name})

    assert service.cache_info() == CacheInfo(hits=1, misses=5, maxsize=3, currsize=3)
    assert len(model.batches) == 5


async def test_model_failure_fallback(sample_trace_dict: Trace) -> None:
    failing = FakeModel({TEXT: RuntimeError("out of memory")})
    with capture_logs() as logs:
        async with EmbeddingService(model=failing, text=TEMPLATE) as service:
            embedding = await service.embed(sample_trace_dict)
            cached = service.cache_info().currsize

    assert (embedding.model, embedding.source) == (STAND_IN_MODEL, "fallback")
    assert cached == 0
    assert {
        "event": "embedding-generation-failed",
        "error": "the model failed: RuntimeError",
        "trace_id": sample_trace_dict["trace_id"],
        "fallback": True,
        "log_level": "warning",
    } in logs


@pytest.mark.integration
async def test_real_model_embedding_dimension(
    real_service: EmbeddingService, sample_trace_dict: Trace
) -> None:
    embedding = await real_service.embed(sample_trace_dict)

    assert is_vector(embedding.vector)
    assert (embedding.model, embedding.source) == (DEFAULT_MODEL, "model")


@pytest.mark.integration
async def test_embedding_similarity(
    real_service: EmbeddingService, sample_trace_dict: Trace
) -> None:
    slow: Trace = {**sample_trace_dict, "duration_ms": 4000.0}
    unlike: Trace = {"service": "cart", "operation": "GET /cart", "status": "OK", "duration_ms": 3}
    question = await real_service.embed_text("the repository could not be processed: timeout")
    vectors = await real_service.embed_traces([sample_trace_dict, slow, unlike])
    cosines = vectors @ vectors[0]

    assert cosines[1] > 0.95
    assert cosines[2] < 0.5
    assert np.argmin(vectors @ question) == 2


@pytest.mark.integration
async def test_embedding_uniqueness(real_service: EmbeddingService) -> None:
    words = ("payment", "cart", "shipping", "catalog", "mail")
    traces: list[Trace] = [
        {"service": word, "operation": f"{word} {status}", "status": status}
        for word in words
        for status in ("OK", "ERROR")
    ]
    vectors = await real_service.embed_traces(traces)
    cosines = vectors @ vectors.T - np.eye(len(traces))

    assert vectors.shape == (10, DIMENSION)
    assert cosines.max() < 0.999


@pytest.mark.integration
async def test_cache_behavior_real_model(
    real_service: EmbeddingService, sample_trace_dict: Trace
) -> None:
    first = await real_service.embed_trace(sample_trace_dict)
    again = await real_service.embed_trace(sample_trace_dict)

    assert (first == again).all()
    assert real_service.cache_info() == CacheInfo(hits=1, misses=1, maxsize=1000, currsize=1)


@pytest.mark.integration
async def test_dict_and_otlp_and_sidecar_give_the_same_vector_alone_and_in_a_crowd(
    real_service: EmbeddingService,
    sample_trace_dict: Trace,
    next_hop: FakeNextHop,
    model_cache: Path,
) -> None:
    traces: list[Trace] = [
        {**sample_trace_dict, "operation": f"step {number}", "duration_ms": 1.7**number}
        for number in range(20)
    ]
    request = ExportTraceServiceRequest(resource_spans=map(to_otlp, traces))
    async with sidecar(next_hop, model_cache=model_cache) as parts:
        await parts.client.export(request)

    alone = np.stack([await real_service.embed_trace(trace) for trace in traces])
    async with EmbeddingService(model_cache=model_cache) as another:
        crowd = await another.embed_traces(traces)
    passed = np.stack([vector_of(span) for span in next_hop.spans()])

    assert alone.tobytes() == crowd.tobytes() == passed.tobytes()


class Hostile:
    """Raises whatever is done to it."""

    def __str__(self) -> str:
        raise OSError("no")

    __repr__ = __hash__ = __float__ = __str__  # type: ignore[assignment]


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.builds(lambda: 10**5000),
        st.floats(),
        st.text(st.characters(), max_size=20),
        st.just("x" * 100_000),
        st.binary(max_size=20),
        st.complex_numbers(),
        st.dates(),
        st.just(object()),
        st.builds(Hostile),
    ),
    lambda values: st.one_of(
        st.lists(values, max_size=4),
        st.tuples(values, values),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.none()), values),
    ),
    max_leaves=10,
)
FIELDS = (
    *("trace_id", "span_id", "name", "service", "operation", "status", "duration_ms"),
    *("attributes", "status_message", "events", "start_time_unix_nano"),
)
MALFORMED = st.one_of(
    VALUES, st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=3)), VALUES)
)


@given(trace=MALFORMED)
@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_dict_is_so_malformed_that_it_gets_no_vector(
    service: EmbeddingService, trace: Mapping[str, object]
) -> None:
    assert is_vector(await service.embed_trace(trace))


async def test_what_is_no_trace_gets_a_stand_in_with_a_warning(service: EmbeddingService) -> None:
    with capture_logs() as logs:
        embedding = await service.embed({"trace_id": "my trace", "name": Hostile()})

    assert (embedding.vector == stand_in("my trace", DIMENSION).vector).all()
    assert logs == [
        {
            "event": "embedding-generation-failed",
            "error": "the trace can't be read: OSError",
            "trace_id": "my trace",
            "fallback": True,
            "log_level": "warning",
        }
    ]


async def test_one_trace_that_is_none_does_not_shift_the_others(service: EmbeddingService) -> None:
    traces: list[Mapping[str, object]] = [{"name": "a"}, {"name": Hostile()}, {"name": "b"}]
    embeddings = await service.embed_all(traces)
    texts = [await service.render(traces[index]) for index in (0, 2)]

    assert [embedding.source for embedding in embeddings] == ["model", "fallback", "model"]
    assert (embeddings[0].vector == embedding_of(texts[0]).vector).all()
    assert (embeddings[2].vector == embedding_of(texts[1]).vector).all()


async def test_a_trace_that_has_no_text_can_not_be_rendered(service: EmbeddingService) -> None:
    with pytest.raises(MalformedTraceError, match="not int"):
        await service.render(3)  # type: ignore[arg-type]


async def test_many_traces_are_a_matrix_and_none_are_an_empty_one(
    service: EmbeddingService,
) -> None:
    assert (await service.embed_traces({"name": str(n)} for n in range(5))).shape == (5, DIMENSION)
    assert (await service.embed_traces([])).shape == (0, DIMENSION)
    assert (await service.embed_texts([])).shape == (0, DIMENSION)


async def test_a_text_is_embedded_as_it_stands(service: EmbeddingService) -> None:
    vectors = await service.embed_texts(["disk full", "why?", "disk full"])

    assert (vectors[0] == embedding_of("disk full").vector).all()
    assert (vectors[1] == (await service.embed_text("why?"))).all()
    assert (vectors[2] == vectors[0]).all()


async def test_a_question_of_unknown_words_has_no_vector() -> None:
    async with EmbeddingService(model=KnowingNothing()) as service:
        with pytest.raises(UnknownWordsError, match="none of the words"):
            await service.embed_texts(["why?"])

        assert (await service.embed({"name": "pay"})).source == "fallback"


async def test_a_question_has_no_stand_in() -> None:
    failing = FakeModel({"why?": RuntimeError("out of memory")})
    async with EmbeddingService(model=failing, text=TEMPLATE) as service:
        with pytest.raises(EmbeddingFailedError, match="out of memory"):
            await service.embed_text("why?")


async def test_an_embedding_tells_the_model_that_made_it(service: EmbeddingService) -> None:
    embedding = await service.embed({"name": "a"})

    assert (embedding.model, embedding.source) == (FAKE_MODEL, "model")


async def test_what_a_caller_does_to_a_vector_does_not_change_what_is_remembered(
    service: EmbeddingService,
) -> None:
    vector = await service.embed_trace({"name": "a"})
    vector[:] = 0

    assert is_vector(await service.embed_trace({"name": "a"}))


async def test_the_text_can_be_chosen(model: FakeModel) -> None:
    options = RenderOptions(template="{operation}")
    async with EmbeddingService(model=model, text=options) as service:
        await service.embed_trace({"name": "a"})

        assert model.batches == [["a"]]
        assert service.text_version == options.version()


async def test_a_trace_that_waits_too_long_gets_a_stand_in(model: FakeModel) -> None:
    model.hold()
    async with EmbeddingService(model=model, embed_timeout=0.01) as service:
        embedding = await service.embed({"name": "a"})
        model.release()

        assert embedding.source == "fallback"


async def test_nothing_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    directory = write_tiny_bert(tmp_path / "tiny-bert")
    cache = tmp_path / "cache"
    async with EmbeddingService(str(directory), model_cache=cache) as service:
        assert not cache.exists()

        await service.preload()

        assert cache.exists()
        assert (await service.embed_trace({"name": "a"})).shape == (16,)


async def test_to_preload_a_model_that_is_not_there_fails(tmp_path: Path) -> None:
    async with EmbeddingService(str(tmp_path), model_cache=tmp_path / "cache") as service:
        with pytest.raises(ModelUnavailableError, match=r"lacks model\.safetensors"):
            await service.preload()


async def test_stand_ins_have_the_dimension_of_a_model_that_is_broken(tmp_path: Path) -> None:
    directory = write_tiny_bert(tmp_path / "tiny-bert")
    (directory / "model.safetensors").unlink()
    async with EmbeddingService(str(directory), model_cache=tmp_path / "cache") as service:
        assert (await service.embed_trace({"name": "a"})).shape == (16,)


def test_it_works_without_a_context_and_from_one_event_loop_after_another(
    model: FakeModel,
) -> None:
    service = EmbeddingService(model=model)
    for _ in range(2):
        assert is_vector(asyncio.run(service.embed_trace({"name": "a"})))
    service.close()

    assert len(model.batches) == 1


async def test_a_service_that_is_closed_says_so(model: FakeModel) -> None:
    service = EmbeddingService(model=model)
    service.close()

    with pytest.raises(EmbedderClosedError):
        await service.embed_trace({"name": "a"})


def test_so_does_one_without_await(model: FakeModel) -> None:
    with EmbeddingService.sync(model=model) as service:
        pass

    with pytest.raises(EmbedderClosedError):
        service.preload()


async def test_whoever_waits_when_it_closes_is_answered(model: FakeModel) -> None:
    model.hold()
    service = EmbeddingService(model=model, threads=1)
    traces = [{"name": str(number)} for number in range(2 * MAX_BATCH_SIZE)]
    answers = asyncio.create_task(service.embed_all(traces))
    await model.begun()
    last = asyncio.create_task(service.embed({"name": "the last in the queue"}))
    await asyncio.sleep(0)  # it sets out
    await service.render({"name": "who comes behind it knows that it has arrived"})
    closing = asyncio.create_task(asyncio.to_thread(service.close))
    # Who waits is answered before the batch under way has ended.
    embedding = await last
    model.release()
    await closing

    assert embedding.source == "fallback"
    sources = [embedding.source for embedding in await answers]
    assert sources == ["model"] * MAX_BATCH_SIZE + ["fallback"] * MAX_BATCH_SIZE


async def test_a_caller_that_leaves_is_not_computed_for(model: FakeModel) -> None:
    model.hold()
    async with EmbeddingService(model=model, threads=1) as service:
        first = asyncio.create_task(service.embed_trace({"name": "a"}))
        await model.begun()
        second = asyncio.create_task(service.embed_trace({"name": "b"}))
        await asyncio.sleep(0)  # it sets out
        await service.render({"name": "who comes behind it knows that it has arrived"})
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        model.release()
        await first

    assert len(model.batches) == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"engine": "onnx"}, "engine must be ctranslate2 or sentence-transformers; it is 'onnx'"),
        ({"model_name": "my-model"}, "model_name must be .* or an existing directory"),
    ],
)
def test_what_can_not_be_had_is_said_at_once(options: ServiceOptions, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        EmbeddingService(**options)


@pytest.mark.parametrize("size", [0, -1])
def test_a_cache_of_no_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"cache_size must be at least 1; it is {size}"):
        EmbeddingService(cache_size=size)


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads must be at least 1, or None; it is {threads}"):
        EmbeddingService(threads=threads)


def test_a_million_threads_are_refused() -> None:
    with pytest.raises(ValueError, match=r"threads must be at most 1024; .* it is 1000000"):
        EmbeddingService(threads=1_000_000)


def test_the_same_without_await(model: FakeModel, sample_trace_dict: Trace) -> None:
    with EmbeddingService.sync(model=model, cache_size=7, text=TEMPLATE) as service:
        service.preload()
        vector = service.embed_trace(sample_trace_dict)

        assert service.render(sample_trace_dict) == TEXT
        assert (vector == embedding_of(TEXT).vector).all()
        assert (service.embed_traces([sample_trace_dict])[0] == vector).all()
        assert service.embed(sample_trace_dict, cache_key="a").model == FAKE_MODEL
        assert [one.source for one in service.embed_all([sample_trace_dict] * 2)] == ["model"] * 2
        assert (service.embed_text(TEXT) == vector).all()
        assert (service.embed_texts([TEXT, TEXT])[1] == vector).all()
        assert service.text_version == "template-4"
        assert service.cache_info() == CacheInfo(hits=5, misses=1, maxsize=7, currsize=1)


async def test_it_works_where_an_event_loop_runs_already(model: FakeModel) -> None:
    """As in a notebook, whose cells run on one."""
    service = EmbeddingService.sync(model=model)
    vector = await asyncio.to_thread(service.embed_trace, {"name": "a"})
    await asyncio.to_thread(service.close)

    assert is_vector(vector)


def test_several_threads_may_share_it(model: FakeModel) -> None:
    vectors: list[Vector] = []
    with EmbeddingService.sync(model=model) as service:
        threads = [
            Thread(target=lambda: vectors.append(service.embed_traces([{"name": "a"}] * 50)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len({vector.tobytes() for vector in vectors}) == 1
    assert len(model.batches) == 1


def run_with_tiny_model(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run code, which must not fail, with all of Python's own checks."""
    model = write_tiny_bert(directory / "tiny-bert")
    finished = run_python(code, str(model), str(directory / "cache"), PYTHONDEVMODE="1")
    finished.check_returncode()
    return finished


def test_a_forked_process_is_told_that_it_has_no_threads(tmp_path: Path) -> None:
    assert "the process was forked" in run_with_tiny_model(EMBED_IN_A_FORK, tmp_path).stdout


def test_a_program_that_closes_nothing_ends_in_silence(tmp_path: Path) -> None:
    finished = run_with_tiny_model(EMBED, tmp_path)

    assert finished.stdout.endswith("(16,)\n")
    assert finished.stderr == ""
