"""Embeds texts by an engine, in a process of its own: `python -m tests.bench.engines NAME THREADS`.

Each line on stdin is a list of texts as JSON; the answer is a line with the seconds that they took,
and the seconds of CPU. What an engine needs and is not installed ends the process with UNAVAILABLE.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from otel_embedder.embedder.bulk import BulkEmbedder
from otel_embedder.embedder.models.choice import DEFAULT_MODEL
from otel_embedder.embedder.models.engines import load_model, model_choice
from otel_embedder.embedder.models.weights import find_weights
from otel_embedder.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Embed = Callable[[list[str]], object]

UNAVAILABLE = 3
BATCH_SIZE = 32  # sentence-transformers' own default


def ours(threads: int) -> Embed:
    """Give the default engine, as the sidecar has it."""
    model = load_model(model_choice(load_settings({})))

    def embed(texts: list[str]) -> object:
        with BulkEmbedder(model, threads=threads, max_texts=len(texts)) as embedder:
            return [*embedder.embed(texts)]

    return embed


def torch(threads: int) -> Embed:
    """Give sentence-transformers as it is used."""
    import_module("torch").set_num_threads(threads)
    return _sentence_transformers(str(find_weights(DEFAULT_MODEL).directory), backend="torch")


def onnx(threads: int) -> Embed:
    """Give the same on ONNX Runtime, its weights as int8."""
    library, runtime = import_module("sentence_transformers"), import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    directory = mkdtemp()
    plain = _loaded(str(find_weights(DEFAULT_MODEL).directory), backend="onnx")
    plain.save_pretrained(directory)
    library.export_dynamic_quantized_onnx_model(plain, "avx512_vnni", directory)
    chosen = {"file_name": "model_qint8_avx512_vnni.onnx", "session_options": options}
    return _sentence_transformers(directory, backend="onnx", model_kwargs=chosen)


def openvino(threads: int) -> Embed:
    """Give the same on OpenVINO, in the numbers that it chooses for this machine."""
    import_module("openvino")
    chosen = {"ov_config": {"INFERENCE_NUM_THREADS": threads}}
    directory = str(find_weights(DEFAULT_MODEL).directory)
    return _sentence_transformers(directory, backend="openvino", model_kwargs=chosen)


ENGINES = {"ours": ours, "torch": torch, "onnx": onnx, "openvino": openvino}


def _sentence_transformers(directory: str, **options: object) -> Embed:
    model = _loaded(directory, **options)
    return lambda texts: model.encode(texts, batch_size=BATCH_SIZE)


def _loaded(directory: str, **options: object) -> Any:  # noqa: ANN401 - of a library without types
    library = import_module("sentence_transformers")
    return library.SentenceTransformer(directory, device="cpu", local_files_only=True, **options)


def main() -> None:
    try:
        embed = ENGINES[sys.argv[1]](int(sys.argv[2]))
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(UNAVAILABLE)
    embed(["the first text takes longer"])
    for line in sys.stdin:
        texts = json.loads(line)
        started, cpu = time.perf_counter(), time.process_time()
        embed(texts)
        took = time.perf_counter() - started, time.process_time() - cpu
        sys.stdout.write(f"{json.dumps(took)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
