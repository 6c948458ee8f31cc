"""Which model, and what runs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, get_args

from platformdirs import user_cache_path
from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, ValidationInfo

from otel_embedder.fields import MAX_SECONDS, RoomSettings

Engine = Literal["ctranslate2", "sentence-transformers"]
DEFAULT_ENGINE: Engine = "ctranslate2"
DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_MODEL_NAMES = (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}")
# As many CPUs as hardly any machine has.
MAX_THREADS = 1_024
# What a model may be called on the Hugging Face hub, such as BAAI/bge-small-en-v1.5.
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
# What the engine of that name needs. It brings torch, so few have it.
REFERENCE_PACKAGE = "sentence_transformers"
REFERENCE_REMEDY = (
    "sentence-transformers is not installed: pip install 'otel-embedder[sentence-transformers]'"
)


def check_engine(engine: str) -> None:
    """Make sure that there is such an engine here.

    Raises:
        ValueError: there is not.

    """
    if engine not in get_args(Engine):
        raise ValueError(f"must be {' or '.join(get_args(Engine))}")
    if engine == "sentence-transformers" and find_spec(REFERENCE_PACKAGE) is None:
        raise ValueError(REFERENCE_REMEDY)


def check_model(model: str, engine: str | None) -> None:
    """Make sure that an engine may have such a model; whether it loads is seen when it does.

    Raises:
        ValueError: it may not.

    """
    # What a directory holds is looked at when the model loads: it may come later.
    if model in DEFAULT_MODEL_NAMES or Path(model).is_dir():
        return
    # A wrong engine is complained of itself; what it would have taken nobody knows.
    if engine == "ctranslate2":
        raise ValueError(
            f"must be {DEFAULT_MODEL} or an existing directory; others are for the engine "
            "sentence-transformers"
        )
    if not HUB_NAME.fullmatch(model):
        raise ValueError("must be a name on the Hugging Face hub, or an existing directory")


def check_threads(threads: int | None) -> None:
    """Make sure that there are not too many threads: each is there at once, and takes memory.

    Raises:
        ValueError: there are.

    """
    if threads is not None and threads > MAX_THREADS:
        raise ValueError(f"must be at most {MAX_THREADS}; more than there are CPUs are of no use")


def default_cache() -> Path:
    """Give the directory of converted models where nobody has chosen one: the user's own."""
    return user_cache_path("otel-embedder")


def _engine(value: Engine) -> Engine:
    check_engine(value)
    return value


def _model(value: str, others: ValidationInfo) -> str:
    check_model(value, others.data.get("engine"))
    return value


def _threads(value: int | None) -> int | None:
    check_threads(value)
    return value


class ModelSettings(RoomSettings):
    """What may be chosen about the model."""

    engine: Annotated[Engine, AfterValidator(_engine)] = Field(
        DEFAULT_ENGINE,
        description="What runs the model: ctranslate2, or sentence-transformers for any other.",
    )
    # Behind the engine, which has a say in what it may be.
    model: Annotated[str, AfterValidator(_model)] = Field(
        DEFAULT_MODEL,
        description="The default model, or a directory with a model's files. The other engine "
        "takes any name on the Hugging Face hub, too.",
    )
    model_cache: Path = Field(default_cache(), description="Directory of converted models.")
    model_threads: Annotated[PositiveInt | None, AfterValidator(_threads)] = Field(
        None, description="Texts computed at the same time; as many as there are CPUs, if not set."
    )
    model_timeout: PositiveFloat = Field(
        30.0,
        le=MAX_SECONDS,
        description="Seconds that texts wait for the model to load, and after which a batch of 32 "
        "is taken to hang: then the model is loaded anew.",
    )
    preload: bool = Field(True, description="Load the model at start, else with the first text.")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model, and what runs it.

    Attributes:
        engine: what runs it.
        model: its name, or a directory with its files; the engine sentence-transformers takes any
            name on the hub, ctranslate2 that of the default model.
        cache: the directory of converted models.
        threads: how many texts are computed at the same time.

    """

    engine: Engine
    model: str
    cache: Path
    threads: int
