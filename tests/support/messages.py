"""The messages of our errors, collected from the source where they are raised.

A message is the text that an error is made with; what is put into it stands in braces. An
error that only hands on what another said has none of its own.
"""

from __future__ import annotations

import ast
import builtins
import re
from functools import cache
from importlib import import_module
from inspect import getmembers, isclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import otel_embedder
from otel_embedder import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(otel_embedder.__file__).parent
OURS = {name for name, _ in getmembers(errors, isclass)}
# What others define and we raise: command lines, and what becomes a part of a message of ours.
CLICKS = {"UsageError", "BadParameter", "ClickException"}
PARTS = {"ValueError", "EOFError", "ZstdError", "DecodeError"}
RAISED = OURS | CLICKS | PARTS
# Functions that say what is wrong without raising it.
TELLING = {
    ("settings", "_message"),
    ("settings", "_other_protocol"),
    ("sidecar.checks", "find_loop"),
    ("sidecar.checks", "find_exposure"),
    ("sidecar.checks", "find_own_echo"),
    ("sidecar.checks", "find_untold"),
}
PUT_IN = re.compile(r"\{.*?\}+")
# Words for Python's names.
SPOKEN = {"strerror": "reason"}
FIELD = re.compile(r"^(?:[a-z_]+|\{name\}): ")
BUILTINS = {*dir(builtins)}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Message(NamedTuple):
    """A message, and where it is from.

    Attributes:
        text: it, with the name of what is put in in braces.
        error: the name of the error that has it.
        module: where it is raised, such as `files.requests`.

    """

    text: str
    error: str
    module: str

    @property
    def is_handed_on(self) -> bool:
        """Whether another said all of it."""
        return not PUT_IN.sub("", self.text).strip(" :;,.")

    def pattern(self) -> re.Pattern[str]:
        """Give what finds it in what a user sees."""
        words = map(re.escape, PUT_IN.split(self.text))
        return re.compile(".*".join(words), re.DOTALL)


@cache
def messages() -> tuple[Message, ...]:
    """Give each message once a module, in the order of the source."""
    found = (message for path in sorted(PACKAGE.rglob("*.py")) for message in _in_file(path))
    return tuple(dict.fromkeys(found))


def _in_file(path: Path) -> Iterator[Message]:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] == "proto":
        return
    module = ".".join(part for part in parts if part != "__init__")
    reader = _Reader(module, ast.parse(path.read_text(encoding="utf-8")))
    yield from reader.messages()


class _Reader:
    """Reads the messages of a module."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self._module = module
        self._tree = tree
        self._names = vars(import_module(f"otel_embedder.{module}".rstrip(".")))

    def messages(self) -> Iterator[Message]:
        for function in self._functions():
            for call in _own(function):
                match call:
                    case ast.Call(func=func, args=[first, *_]) if (error := _name(func)) in RAISED:
                        for text in self._texts(first, function):
                            yield Message(text, error, self._module)
            if (self._module, function.name) in TELLING:
                yield from self._told(function)
        if self._module == "errors":
            yield from self._own_words()

    def _functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self._tree) if isinstance(node, Function))

    def _told(self, function: Function) -> Iterator[Message]:
        for node in ast.walk(function):
            match node:
                case ast.JoinedStr():
                    # The field in front is put into the words of where it was set.
                    text = FIELD.sub("", self._text(node))
                    yield Message(text, "SettingsError", self._module)
                case ast.IfExp(orelse=ast.Name() as constant):
                    yield Message(self._text(constant), "SettingsError", self._module)

    def _own_words(self) -> Iterator[Message]:
        """Give the messages of errors that always say the same."""
        for class_ in (each for each in self._tree.body if isinstance(each, ast.ClassDef)):
            for node in ast.walk(class_):
                match node:
                    case ast.Call(
                        func=ast.Attribute(attr="__init__"), args=[ast.Constant(value=str(text))]
                    ):
                        yield Message(text, class_.name, self._module)

    def _texts(self, node: ast.expr, function: Function) -> Iterator[str]:
        """Give what a message may be."""
        match node:
            case ast.List(elts=elements):
                for element in elements:
                    yield from self._texts(element, function)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._texts(body, function)
                yield from self._texts(orelse, function)
            case ast.Name(id=name) if assigned := _assigned(name, function):
                for value in assigned:
                    yield from self._texts(value, function)
            case _:
                yield self._text(node)

    def _text(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.JoinedStr(values=values):
                return "".join(map(self._text, values))
            case ast.FormattedValue(value=value):
                return self._put_in(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._text(left) + self._text(right)
            case ast.Name():
                return self._put_in(node)
            case _:
                return ""

    def _put_in(self, node: ast.expr) -> str:
        """Give a constant's value, and of anything else its name in braces."""
        known = self._names.get(_name(node))
        if isinstance(node, ast.Name) and isinstance(known, str | int | float):
            return str(known)
        if name := _name(node):
            return f"{{{SPOKEN.get(name, name.strip('_'))}}}"
        names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
        values = [each for each in names if each not in BUILTINS and each not in self._names]
        attributes = [each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)]
        kinds = [each for each in names if each[:1].isupper()]
        return f"{{{next(iter(values + kinds + attributes), '')}}}"


def _own(function: Function) -> Iterator[ast.AST]:
    """Give what is in a function, but not in those within it."""
    waiting: list[ast.AST] = [*ast.iter_child_nodes(function)]
    while waiting:
        node = waiting.pop(0)
        if not isinstance(node, Function):
            yield node
            waiting += ast.iter_child_nodes(node)


def _assigned(name: str, function: Function) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    ]


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
