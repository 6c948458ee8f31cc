"""A stack trace as what it says: the headers of its exceptions, without the frames between.

Each language prints causes in its own way and order. What counts here is only whether the next
header is a cause of those before, or an error that they led to; a line that is neither a header,
nor goes on with one, says where something happened, and is passed over.
"""

from __future__ import annotations

import re
from functools import lru_cache

# A line by itself where a part of a long trace was left out.
GAP = "\0"
# Before what is a cause, or is caused, in a trace's bytes; see `purse.cut_trace`.
MARKS = (
    *(b"\nCaused by:", b" ---> ", b"[cause]: ", b"\ncaused by: ", b"\nWrapped by: ", b"\nNext "),
    *(b"\nThe above exception", b"\nDuring handling of the above"),
)

# What Python quotes below a frame begins with.
SOURCE = "    "
# In the place of two lines of Go.
GO_FRAME = "\t_.go:0"

# So much of a header is read, and of a trace so many headers: of more, the last ones.
MAX_HEADER_CHARACTERS = 4_096
MAX_HEADERS = 8

# None of these nests a repetition in another; each looks at one line, from where it begins.
_FRAME = re.compile(
    r"""
    \s+at\s.*[(:]                                    # Java, .NET, JavaScript, PHP by OpenTelemetry
    |at\s\S+\(.*\)\s*$
    |\s+\.\.\.\s\d+\s(?:more|common)
    |\s{3}\S{1,6}\s[^\s(:]+\(.*\)(?:\s\S{1,6}\s.*:.*)?$  # .NET in other languages: bei, à, en
    |\s*---\s.*\s---\s*$                             # --- End of inner exception stack trace ---
    |\s*\#\d+\s.*[({]                                # PHP, Dart
    |\s+(?:\d+:\s)?from\s\S                          # Ruby
    |[^\s@]*+@\S+:\d+:\d+$                           # Firefox, Safari
    |\s+(?:\(\S+\s[\d.]+\)\s)?\S+\.(?:ex|erl|exs):\d+  # Elixir, Erlang
    |\t\S+\.(?:go|s):\d+                             # Go
    |goroutine\s\d+\s
    """,
    re.VERBOSE,
)
_END = re.compile(
    r"\s*(?:(?:stack ?trace|\[stacktrace\]|stack backtrace|backtrace|location):?$"
    r"|note: run with\s|[\]}),]+$)",
    re.IGNORECASE,
)
_SUPPRESSED = re.compile(r"\s+Suppressed:\s")
_CAUSE = re.compile(
    r"\s*(?:(?:[Cc]aused by|\[cause\]):\s+(?=\S)|---> *(?:\(Inner Exception #\d+\) *)?"
    r"|[Ii]nner ?[Ee]xception(?: ?#?\d+)?\s*[:=]\s*)"
)
_CAUSED = re.compile(r"Wrapped by:\s+|Next (?=[\w\\]+(?::\s| in \S))")
_LIST = re.compile(r"(?:Caused by|Error):\s*$")
_LISTED = re.compile(r"\s+(?P<number>\d+:\s+)?(?=\S)")
_ERRORS = re.compile(r"\s*\[errors\]:\s")
_LISTED_ERROR = re.compile(r"\s+\w*(?:Error|Exception)\b[^:]*:\s")
_TRACEBACK = re.compile(r"\s*(?:Exception Group )?Traceback \(most recent call last\):")
_PYTHON_FRAME = re.compile(r"""\s+File ".*", line \d""")
_PYTHON_LINK = re.compile(r"(?:The above exception was|During handling of the above)\s")
_GROUP_LINE = re.compile(r"\s*[|+] ?")
_NEXT_IN_GROUP = re.compile(r"\s*\+(?:-\+)?--")
# x.rb:3:in `save': no space left (DiskFull)
_RUBY = re.compile(
    r"\S.{0,512}?:\d+:in\s[`'][^']*':\s(?P<message>.*?)(?:\s\((?P<type>[A-Z][\w:]*)\))?$"
)
_ELIXIR = re.compile(r"\s*\*\*\s\((?P<type>[\w.]+)\)\s?(?P<message>.*)")
_RUST_PANIC = re.compile(
    r"thread '[^']*'(?: \(\d+\))? panicked at (?:'(?P<message>.*)', \S+|\S+:\d+:\d+:)$"
)
# A function's name and below it, indented, its file: Go's frames, as pkg/errors prints them too.
_GO_FRAMES = re.compile(r"^\S.*\n\t[^\s:]+\.(?:go|s):\d+.*$", re.MULTILINE)
_BEFORE_HEADER = re.compile(
    r"""Exception\ in\ thread\ ".{0,256}?"\s|(?:PHP\s)?Fatal\serror:\s+(?:Uncaught\s)?"""
    r"""|Uncaught\s(?:\(in\spromise\)\s)?|Unhandled\sexception\.\s|panic:\s""",
    re.VERBOSE,
)
_BEFORE_HEADER_HINT = re.compile(r"in thread|Fatal\serror|Uncaught\s|Unhandled\s|panic:")
# What a line may be, whatever comes before it; the first that it is counts.
_MARKS = {
    "frame": _FRAME,
    "cause": _CAUSE,
    "caused": _CAUSED,
    "traceback": _TRACEBACK,
    "Python's frame": _PYTHON_FRAME,
    "link": _PYTHON_LINK,
    "list": _LIST,
    "suppressed": _SUPPRESSED,
    "errors": _ERRORS,
    "end": _END,
    "Ruby's header": _RUBY,
    "Elixir's header": _ELIXIR,
    "panic": _RUST_PANIC,
}
# Frames recur, in traces that don't. What is longer hardly does.
MAX_KNOWN_LINES = 4_096
MAX_KNOWN_CHARACTERS = 256
_PHP_PLACE = re.compile(r" in /?[^\s:]+:\d+$")
_ALSO_INNER = re.compile(r"\s+---> *(?:\(Inner Exception #\d+\) *)?")


def headers(trace: str) -> list[str]:
    """Give what a stack trace says of each exception, as it is written, the outermost first."""
    reader = _Reader(is_group="Exception Group Traceback" in trace)
    is_go = ".go:" in trace
    for line in (_GO_FRAMES.sub(GO_FRAME, trace) if is_go else trace).splitlines():
        reader.read(line)
    found = [part for lines in reader.chain for part in _parts(lines)]
    return found if len(found) <= MAX_HEADERS else [found[0], *found[1 - MAX_HEADERS :]]


def has_frames(text: str) -> bool:
    """Tell whether a text is, or ends with, a stack trace."""
    return any(_mark(line) in {"frame", "traceback"} for line in text.splitlines()[1:])


def _mark(line: str) -> str:
    """Tell which of `_MARKS` a line is; empty if none."""
    return _known_mark(line) if len(line) <= MAX_KNOWN_CHARACTERS else _found_mark(line)


def _found_mark(line: str) -> str:
    return next((name for name, pattern in _MARKS.items() if pattern.match(line)), "")


_known_mark = lru_cache(MAX_KNOWN_LINES)(_found_mark)


def _parts(lines: list[str]) -> list[str]:
    """Give a header in one piece, or in several where .NET has its causes on one line."""
    text = "\n".join(lines)
    if _BEFORE_HEADER_HINT.search(text):
        text = _BEFORE_HEADER.sub("", text, count=1)
    text = text.removesuffix("<---").strip()
    parts = _ALSO_INNER.split(text) if "--->" in text else [text]
    return [part for part in parts if part]


class _Reader:
    """Goes through a trace line by line.

    Attributes:
        chain: the headers found so far, each as its lines; the outermost first.

    """

    def __init__(self, *, is_group: bool) -> None:
        self.chain: list[list[str]] = []
        self._is_group = is_group
        self._header: list[str] | None = None  # which the next line may go on with
        self._room = 0
        self._expects_header = True
        self._leads_on = False  # the next header is of what those before have led to
        self._is_python = self._is_list = self._is_suppressed = False
        self._has_errors = self._is_go = False

    def read(self, line: str) -> None:
        """Take the next line in."""
        if self._is_group:
            line = self._without_margin(line)
        if line == GAP:
            self._close()
            self._expects_header = self._is_suppressed = False
        elif self._header is None and self._is_python and line.startswith(SOURCE):
            pass
        elif not self._is_mark(line):
            self._read_other(line)

    def _without_margin(self, line: str) -> str:
        """Give a line of a group of Python's exceptions as it would be without the others."""
        if _NEXT_IN_GROUP.match(line):
            self._close()
            self._expects_header = True
            return ""
        return _GROUP_LINE.sub("", line, count=1)

    def _is_mark(self, line: str) -> bool:
        """Take a line in that opens or closes a header, whatever came before it."""
        match mark := _mark(line):
            case "frame":
                self._read_frame(line)
            case "":
                return False
            case "cause":
                self._read_cause(line)
            case "caused":
                self._open(_CAUSED.sub("", line, count=1), leads_on=True)
            case "errors":
                self._has_errors = True
            case "end":
                self._read_end()
            case "Ruby's header" | "Elixir's header" | "panic":
                self._read_whole_header(line, _MARKS[mark])
            case _:
                self._close()
                self._read_announcement(mark)
        return True

    def _read_announcement(self, mark: str) -> None:
        """Take a line in that says what comes next."""
        match mark:
            case "link":
                self._leads_on = True
            case "list":
                self._is_list = True
            case "suppressed":
                self._is_suppressed = True
            case _:
                self._expects_header = self._is_python = True

    def _read_frame(self, line: str) -> None:
        self._close()
        self._is_go = line == GO_FRAME
        self._expects_header = self._is_python or self._is_go
        self._leads_on = self._leads_on or self._is_go

    def _read_cause(self, line: str) -> None:
        if self._is_suppressed and line[:1].isspace():
            return  # of what was suppressed
        self._is_suppressed = False
        self._open(_CAUSE.sub("", line, count=1))

    def _read_end(self) -> None:
        if self._header and self._header[-1]:
            self._header[-1] = _PHP_PLACE.sub("", self._header[-1])
        self._close()

    def _read_whole_header(self, line: str, pattern: re.Pattern[str]) -> None:
        """Take a line in that has its type elsewhere than at its beginning, or none."""
        if found := pattern.match(line):
            said = found.groupdict("")
            kind, message = said.get("type"), said["message"]
            self._open(f"{kind}: {message}" if kind else message)

    def _read_other(self, line: str) -> None:
        """Take a line in that may begin a header, go on with one, or say nothing."""
        is_indented = line[:1].isspace()
        if self._is_list:
            self._read_listed(line)
        elif self._header is not None:
            self._go_on(line)
        elif self._has_errors and _LISTED_ERROR.match(line):
            self._open(line)
        elif self._expects_header and line and not (is_indented and self._is_python):
            self._open(line, leads_on=self._leads_on)

    def _read_listed(self, line: str) -> None:
        """Take a line of Rust's list of causes in."""
        if not (item := _LISTED.match(line)):
            self._close()
        elif item["number"] or self._header is None:
            self._open(line[item.end() :])
            self._is_list = True
        else:
            self._go_on(line)

    def _go_on(self, line: str) -> None:
        if (self._is_python or self._is_go) and not line.strip():
            self._close()
        elif self._header is not None and self._room > 0:
            self._header.append(line)
            self._room -= len(line)

    def _open(self, line: str, *, leads_on: bool = False) -> None:
        self._close()
        self._expects_header = self._leads_on = False
        self._header = [line]
        self._room = MAX_HEADER_CHARACTERS - len(line)
        self.chain.insert(0 if leads_on else len(self.chain), self._header)

    def _close(self) -> None:
        self._header = None
        self._is_list = False
