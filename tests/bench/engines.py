"""Embeds texts by an engine: `python -m tests.bench.engines NAME THREADS DIRECTORY`.

In a process of its own, and where the others are installed by a Python that may lack what this
project needs. DIRECTORY has the official weights.

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

if TYPE_CHECKING:
    from collections.abc import Callable

    Embed = Callable[[list[str]], object]

UNAVAILABLE = 3
BATCH_SIZE = 32  # sentence-transformers' own default


def ours(threads: int, _: str) -> Embed:
    """Give the default engine, as the sidecar has it."""
    embed: Embed = import_module("tests.bench.model").embedding_in_bulk(threads)
    return embed


def torch(threads: int, directory: str) -> Embed:
    """Give sentence-transformers as it is used."""
    import_module("torch").set_num_threads(threads)
    return _sentence_transformers(directory, backend="torch")


def onnx(threads: int, directory: str) -> Embed:
    """Give the same on ONNX Runtime, its weights as int8."""
    library, runtime = import_module("sentence_transformers"), import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    converted = mkdtemp()
    plain = _loaded(directory, backend="onnx", model_kwargs={"export": True})
    plain.save_pretrained(converted)
    library.export_dynamic_quantized_onnx_model(plain, "avx512_vnni", converted)
    chosen = {"file_name": "model_qint8_avx512_vnni.onnx", "session_options": options}
    return _sentence_transformers(converted, backend="onnx", model_kwargs=chosen)


def openvino(threads: int, directory: str) -> Embed:
    """Give the same on OpenVINO, in the numbers that it chooses for this machine."""
    import_module("openvino")
    chosen = {"export": True, "ov_config": {"INFERENCE_NUM_THREADS": threads}}
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
        embed = ENGINES[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
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
