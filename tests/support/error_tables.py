"""The tables of docs/errors.md: each message of an error, how it ends, and what to do."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import click

from otel_embedder import errors
from otel_embedder.api.http.problems import STATUSES
from otel_embedder.cli import EXIT_FAILED, EXIT_SKIPPED, EXIT_USAGE
from otel_embedder.exporter.health import (
    HTTP_PORT,
    HTTP_REMEDY,
    NEXT_HOP_FAILING,
    REMEDIES_AT_FIRST,
)
from otel_embedder.exporter.health import REMEDIES as HEALTH_REMEDIES
from otel_embedder.otlp.status import refusal
from tests.support.messages import CLICKS, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.messages import Message

AS_IT_SAYS, SEE_ABOVE = "as it says", "see above"
SENDERS, NEXT_HOP = "A request that came in", "A next hop"
ASKED = "What the page and the API are asked"


class Section(NamedTuple):
    """Messages that are met in one place.

    Attributes:
        title: of its table.
        modules: how the names of the modules begin that raise them.
        errors: and which errors these are; all, if none is named.
        remedy: what to do about most, where they don't say it.
        elsewhere: the error that is met here as well where no other section has its module.

    """

    title: str
    modules: tuple[str, ...]
    errors: frozenset[str] = frozenset()
    remedy: str = ""
    elsewhere: str = ""


# The first that fits has a message.
SECTIONS = (
    Section("A command line", ("",), frozenset(CLICKS)),
    Section("A text to embed or to look for", ("cli.parts.arguments",), frozenset({"ValueError"})),
    Section("A file to write", ("",), frozenset({"UnwritableFileError"})),
    Section("Questions and labels", ("search.evaluation",), remedy="mend the line that it names"),
    Section(
        "A file of traces",
        (
            "files",
            "otlp.json_form",
            "otlp.fields",
            "otlp.signals",
            "cli.parts.arguments",
            "cli.annotate",
        ),
        remedy="mend the field that it names, or let `--on-error skip` leave the request out",
        elsewhere="UnreadableFileError",
    ),
    Section(
        "A setting",
        (
            *("settings", "fields", "credentials", "telemetry", "text", "sidecar", "receiver.add"),
            *("receiver.se", "exporter.settings", "exporter.exporter", "embedder.models.choice"),
            *("search.settings", "annotation.settings"),
        ),
    ),
    Section(
        "The catalogue",
        ("search", "cli.index", "cli.search", "cli.catalogue", "cli.reembed", "cli.groups"),
        elsewhere="StoreError",
    ),
    Section(ASKED, ("api", "cli.page", "cli.mcp")),
    Section(
        "A model",
        ("embedder.models", "cli.model"),
        remedy="another model, its own files from where it was published, or `engine: "
        "sentence-transformers`",
    ),
    Section("A text on its way to its vector", ("embedder", "errors", "cli.annotate")),
    Section(NEXT_HOP, ("exporter", "otlp.status", "cli.send")),
    Section(
        "A sidecar that is asked how it is",
        ("receiver.probe",),
        remedy="start it, or wait for the next one; what it says of itself is in its log",
    ),
    Section(
        SENDERS,
        ("receiver", "pipeline", "otlp.protobuf"),
        remedy="it is the sender that is to be mended",
    ),
    Section("A program that uses the library", ("library",)),
)
# By how a message begins: where it does not say itself what to do.
REMEDIES = {
    **dict.fromkeys(
        (
            *("the file is UTF-16", "the file seems to be", "files of different forms"),
            *(
                "the engine computes wrong",
                "{error}; --",
                "{were} skipped",
                "the converted model",
                "{error}; set `model`",
            ),
            *("sentence-transformers is not installed", "there is no directory"),
            *("the model in {directory} has", "the model in {directory} lacks"),
            *("{directory} has the weights", "{directory} is not all", "{problem}; --repair"),
        ),
        AS_IT_SAYS,
    ),
    "{repository} could not": "a network, or `model` as the message goes on to say",
    "{damage}; it can't be removed": "remove it, or another `model_cache`",
    "{file} can't be read": "make it readable, or name another",
    "{path} can't be read: ": "make it readable, or name another",
    "there is no span": "another file, or an id as `render --output json` tells it",
    "line {number} is not UTF-8": "convert the input to UTF-8",
    "the file is cut off": "`annotate --skip-cut-off` goes on without the rest; `nearest`, "
    "`compare` and `eval` do so by themselves",
    "the file is damaged": "another copy of it",
    "the file is no JSON": "without `--form`, if it is OTLP",
    "the file, which is no JSON, is not": "a file of traces, docs/commands.md says which",
    "the last ": "a part of `the file is cut off`",
    "the list of requests has no end": "a part of `the file is cut off`",
    "a zstd frame has no end": "a part of `the file is damaged`",
    "what follows can't be a length": "a part of `the file is damaged`: it is neither JSON nor "
    "protobuf behind lengths",
    "{position} holds no traces": "a file of traces; the message names an option that reads it, if "
    "there is one",
    "it holds {names}": "a part of why a converted model is converted anew; none needed",
    "it holds ": "a part of the above",
    "it seems to be ": "a part of the above",
    "{name} can't be read": "make it readable, or name another",
    "{path} can't be written": "make room or make it writable; then the same again",
    "must be given, as": "give it, too",
    "is of no use without": "leave it out, or give the other, too",
    "is of no use beside": "leave one of them out",
    "can't be read": "make it readable for the user that runs the sidecar",
    "{key} or {certificate} can't": "make it readable for the user that runs the sidecar",
    "{filename} can't be read": "make it readable for the user that runs the sidecar; old ones "
    "stay in use meanwhile",
    "the certificates are being written": "none needed: they are looked at again; old ones stay "
    "in use meanwhile",
    "metrics_listen: cannot": "another port, or `metrics_listen: none`",
    "listen: another process": "end that one, or another address",
    "listen: cannot listen on {path}": "a directory that is there and writable",
    "the model in {directory} does not load": "`otel-embedder model verify --repair`",
    "the tokenizer in {directory}": "`otel-embedder model verify --repair`",
    "{directory} is not what": "`otel-embedder model verify --repair`",
    "the model is not as it should be": "what is told above it; `--repair` for what was converted",
    "its files are those of": "a part of why a converted model is converted anew; none needed",
    "{name} is not what was written": "a part of why a converted model is converted anew; none "
    "needed",
    "sha256.json is not": "a part of why a converted model is converted anew; none needed",
    "its embedding.json is damaged": "a part of why a converted model is converted anew; none "
    "needed",
    "the model is not loaded yet": "none needed: spans get stand-ins till then",
    "the model was given up": "none needed: it is loaded anew",
    "the model failed": "none needed: the model is loaded anew; if it goes on, `model verify`",
    "the tokenizer failed": "none needed: the model is loaded anew; if it goes on, `model verify`",
    "a vector has length": "another model, or `engine: sentence-transformers`",
    "there is no place to convert": "room in the directory for temporary files",
    "the embedder has closed": "none needed: it is stopping",
    "the model hung": "none needed: it is loaded anew; `model_timeout` says when",
    "no time was left": "more time at the sender, fewer spans at once, or more CPU",
    "the vector was not ready": "more time at the sender, fewer spans at once, or more CPU",
    "{max_texts} texts wait": "more CPU, or fewer spans",
    "the model gave {embeddings}": "a fault of the engine: `model verify`",
    "no thread for the model": "more threads or memory for the process",
    "the model knows none": "none needed: the text has no word that the model knows",
    "{tally} of {sent} spans": "what is told above it, by its reason; then the same again",
    "the next hop answered": "by what it says: docs/troubleshooting.md",
    "others were being sent": "a faster next hop, or fewer spans at once",
    "unauthenticated": "the token of `bearer_token` or `bearer_token_file` at the sender",
    "too much at once": "none needed: the sender waits as long as it is told, and sends again; if "
    "it goes on, `max_inflight_bytes`, or a second sidecar",
    "the spans have come back": AS_IT_SAYS,
    "received message after": "`max_receive_bytes`, or smaller batches at the sender",
    "more than {max_spans}": "smaller batches at the sender",
    "the request had not arrived": "none needed: the sender sends it again, to the next one",
    "the request did not arrive": "a faster way here, or smaller batches at the sender",
    "no whole request arrived": "`compression: gzip` or `none`, smaller batches at the sender, or "
    "`max_receive_bytes`",
    **dict.fromkeys(
        ("more bytes than", "fewer bytes than", "numbers of {width}", "the table {name} speaks"),
        "a part of why counts or examples are damaged",
    ),
    **dict.fromkeys(
        ("a text is of a row", "counts of a minute that"), "a fault of ours: please tell us"
    ),
    "the service is closed": "one service for as long as it is needed",
    "the trace can't be read": "plain values in the dict",
}
# What no user meets: it is caught within the module's own room.
INNER = ("annotation.vectors",)
EXIT_CODES = {"SettingsError": EXIT_USAGE, "SkippedRequestsError": EXIT_SKIPPED}
# Of each error that a sender may meet, one.
MET_BY_SENDERS = {
    type(error).__name__: error
    for error in (
        errors.MalformedRequestError(""),
        errors.RequestTooLargeError(""),
        errors.IncompleteRequestError(""),
        errors.SurplusRequestError(""),
        errors.BusyError("", retry_after=1),
        errors.LoopError(""),
        errors.UnauthenticatedError(""),
        errors.RetryableExportError(""),
    )
}
# Of the API's room, and met by whoever starts it, or by a command.
NO_ANSWERS = {"api.client", "api.http.serving", "api.http.tls", "api.settings"}
THE_SAME_CODE = {"PermanentExportError", "TooLargeExportError"}


def section_of(message: Message) -> Section:
    """Give where a message is met.

    Raises:
        LookupError: there is no section for it yet.

    """
    for section in SECTIONS:
        if message.module.startswith(section.modules) and (
            not section.errors or message.error in section.errors
        ):
            return section
    for section in SECTIONS:
        if message.error == section.elsewhere:
            return section
    raise LookupError(f"tests/support/error_tables.py has no section for {message}")


def remedy_of(message: Message) -> str:
    """Give what to do about a message."""
    own = (remedy for text, remedy in REMEDIES.items() if message.text.startswith(text))
    return next(own, SEE_ABOVE if section_of(message).remedy else AS_IT_SAYS)


def ending_of(message: Message) -> str:
    """Give the exit code of a command that ends so, or what a sender is answered."""
    section = section_of(message).title
    if section == "A program that uses the library":
        return f"`{message.error}`"
    if section == ASKED and (status := _status(message)):
        return status
    if section in {SENDERS, NEXT_HOP} and (code := _code(message)):
        return f"{code}; `send`: {EXIT_FAILED}" if section == NEXT_HOP else code
    return str(_exit_code(message, section))


def _code(message: Message) -> str:
    """Give what a sender is answered; nothing, if it is not answered so."""
    if message.error in THE_SAME_CODE:
        return "the next hop's code"
    error = MET_BY_SENDERS.get(message.error)
    return refusal(error).code.name if error else ""


def _status(message: Message) -> str:
    """Give what whoever asks is answered over HTTP; nothing, if it is no answer."""
    if message.module in NO_ANSWERS:
        return ""
    found = (status for kind, status in STATUSES if kind.__name__ == message.error)
    return next((f"HTTP {status.value}" for status in found), "")


def _exit_code(message: Message, section: str) -> int:
    if message.error in CLICKS:
        exit_code: int = getattr(click, message.error).exit_code
        return exit_code
    if section in {"A setting", ASKED} and message.error in {"ValueError", "CredentialsError"}:
        return EXIT_USAGE
    return EXIT_CODES.get(message.error, EXIT_FAILED)


def told() -> Iterator[Message]:
    """Give the messages that a user may meet, in words of ours."""
    for message in messages():
        if not message.is_handed_on and not message.module.startswith(INNER):
            yield message


def error_tables() -> str:
    """Give a table for each section, sorted by message."""
    tables = (f"## {section.title}\n\n{_table(section)}" for section in SECTIONS)
    return "\n\n".join((*tables, f"## `{NEXT_HOP_FAILING}` in the log\n\n{_failing_table()}"))


def _in_a_cell(text: str) -> str:
    return text.replace("|", r"\|")


def _failing_table() -> str:
    """Give a row for each reason that a next hop fails for of which the remedy is known."""
    at_first = chain.from_iterable(REMEDIES_AT_FIRST.values())
    rows = [
        *(f"| `{_in_a_cell(words)}` | {mends} |" for words, mends in HEALTH_REMEDIES),
        *(f"| `{words}`, and never an answer before | {mends} |" for words, mends in at_first),
        f"| any, on port {HTTP_PORT}, and never an answer before | {HTTP_REMEDY} |",
    ]
    return "\n".join(["| reason | remedy |", "|---|---|", *rows])


def _table(section: Section) -> str:
    above = f"Most of these: {section.remedy}.\n\n" if section.remedy else ""
    rows = {
        f"| {_shown(message)} | {ending_of(message)} | {remedy_of(message)} |"
        for message in told()
        if section_of(message) is section
    }
    table = ["| message | ends with | remedy |", "|---|---|---|", *sorted(rows)]
    return above + "\n".join(table)


def _shown(message: Message) -> str:
    text = _in_a_cell(" ".join(message.text.split()))
    # FieldError puts the field in front, and so do settings.
    field = "{field} " if message.error == "FieldError" else ""
    return f"`` {field}{text} ``" if "`" in text else f"`{field}{text}`"
