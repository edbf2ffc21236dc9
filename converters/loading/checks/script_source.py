"""Finds what the sources in a TorchScript archive call, by parsing them without running them.

Serialized TorchScript is a small subset of Python. It calls an operator as `torch.NAME(...)` or
`ops.NAMESPACE.NAME(...)`, a function of the archive by its full name below `__torch__`, a method on
an object, and a few functions such as `annotate` by their bare names. Other ways to call an
operator exist in the language and are refused. Loading an archive already runs code, for default
values and constants, so these must be plain values.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_NODES: Final = (
    *(ast.Module, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.keyword),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Expr, ast.Pass),
    *(ast.If, ast.For, ast.While, ast.Break, ast.Continue, ast.Assert, ast.Delete, ast.Raise),
    *(ast.Call, ast.Attribute, ast.Name, ast.Subscript, ast.Slice, ast.Constant, ast.IfExp),
    *(ast.List, ast.Tuple, ast.Dict, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare),
    *(ast.expr_context, ast.unaryop, ast.operator, ast.boolop, ast.cmpop),
)
# Types of fields whose names are not identifiers: __annotations__["0"] = Tensor
_TYPES: Final = "__annotations__"
# Roots of operators. Used as plain values, they could be assigned to other names.
_ROOTS: Final = ("torch", "ops")
# Native classes, which would get arguments from the file.
_NATIVE_CLASSES: Final = "__torch__.torch.classes"
_ARCHIVE_NAME: Final = re.compile(r"__torch__(\.\w+)+")
_RUNS_AT_LOAD: Final = "__setstate__"


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls in one source.

    Attributes:
        operators: such as `aten::relu` or `aten::div with out=`.
        words: functions called by their bare name, such as annotate or getattr.
        methods: names of called methods.
        strange: code that torch does not write.
    """

    operators: frozenset[str]
    words: frozenset[str]
    methods: frozenset[str]
    strange: tuple[str, ...]


def parse_source(content: bytes) -> ast.Module:
    """The source as a syntax tree.

    Raises:
        ValueError: torch might parse it differently from Python.
    """
    text = content.decode("ascii")
    if not text.replace("\n", " ").isprintable():
        raise ValueError("control characters")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_odd_string = token.type == tokenize.STRING and (
            token.string[0] not in "'\"" or token.string[:3] in ("'''", '"""')
        )
        if token.type == tokenize.COMMENT or is_odd_string:
            raise ValueError(f"{token.string[:40]!r}")
    return ast.parse(text)


def calls_in(tree: ast.Module) -> Calls:
    """All calls in a source, and all code that torch does not write."""
    reader = _Reader()
    reader.visit(tree)
    return Calls(
        frozenset(reader.operators),
        frozenset(reader.words),
        frozenset(reader.methods),
        tuple(reader.strange),
    )


def fields_of(tree: ast.Module) -> Iterator[tuple[str, dict[str, str]]]:
    """The name of each class, with its fields' types as text."""
    for found in tree.body:
        if isinstance(found, ast.ClassDef):
            yield found.name, dict(_fields(found))


def methods_of(tree: ast.Module) -> set[str]:
    """The names of all methods."""
    classes = [found for found in tree.body if isinstance(found, ast.ClassDef)]
    return {f.name for c in classes for f in c.body if isinstance(f, ast.FunctionDef)}


def _fields(found: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for line in found.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            yield line.target.id, ast.unparse(line.annotation)
        elif isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Subscript):
            name = line.targets[0].slice
            if isinstance(name, ast.Constant):
                yield str(name.value), ast.unparse(line.value)


class _Reader(ast.NodeVisitor):
    """Visits a source and collects its calls."""

    def __init__(self) -> None:
        self.operators: set[str] = set()
        self.words: set[str] = set()
        self.methods: set[str] = set()
        self.strange: list[str] = []
        # Variables of the current function, and those that only hold functions of the archive.
        self._variables: set[str] = set()
        self._functions: set[str] = set()

    def generic_visit(self, node: ast.AST) -> None:
        self._require(node, is_usual=isinstance(node, _NODES))
        super().generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # name required by `ast`
        for line in node.body:
            self._require(line, is_usual=_is_field_or_method(line))
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._require(node, is_usual=node.name != _RUNS_AT_LOAD and not node.decorator_list)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            self._require(node.args, is_usual=default is None or _is_plain(default))
        self._variables, self._functions = _variables_of(node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self._require(node, is_usual=all(keyword.arg is not None for keyword in node.keywords))
        if isinstance(node.func, ast.Name):
            self._read_word(node, node.func.id)
        elif isinstance(node.func, ast.Attribute):
            writes = any(keyword.arg == "out" for keyword in node.keywords)
            self._read_attribute(node.func, " with out=" if writes else "")
        else:
            self._require(node, is_usual=False)
        for part in (*node.args, *node.keywords):
            self.visit(part)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        names = ast.unparse(node)
        self._require(node, is_usual=f"{names}.".startswith(f"{_NATIVE_CLASSES}.") is False)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self._require(node, is_usual=node.id not in _ROOTS)

    def _read_word(self, node: ast.Call, word: str) -> None:
        if word in self._functions:
            return
        self.words.add(word)
        # A variable could hold an operator.
        self._require(node, is_usual=word not in self._variables)
        # The interpreter would read fields at the offsets of the class that is named here.
        is_class = bool(node.args) and "__torch__" in ast.unparse(node.args[0])
        self._require(node, is_usual=word != "unchecked_cast" or not is_class)

    def _read_attribute(self, func: ast.Attribute, how: str) -> None:
        root, *names = ast.unparse(func).split(".")
        if root == "torch" and len(names) == 1:
            self.operators.add(f"aten::{names[0]}{how}")
        elif root == "ops" and len(names) == 2:
            self.operators.add("::".join(names) + how)
        else:
            if root != "__torch__":
                self.methods.add(func.attr)
            self.visit(func)

    def _require(self, node: ast.AST, *, is_usual: bool) -> None:
        if not is_usual:
            self.strange.append(" ".join(ast.unparse(node).split())[:80])


def _is_field_or_method(line: ast.stmt) -> bool:
    if isinstance(line, ast.AnnAssign):
        return line.value is None or _is_plain(line.value)
    if isinstance(line, ast.Assign):
        target = line.targets[0]
        is_type = isinstance(target, ast.Subscript) and ast.unparse(target.value) == _TYPES
        return is_type or _is_plain(line.value)
    return isinstance(line, ast.FunctionDef | ast.Pass)


def _is_plain(value: ast.expr) -> bool:
    """Whether it is a literal or a name, so that no call computes it."""
    allowed = (ast.Constant, ast.Name, ast.List, ast.Tuple, ast.Dict, ast.UnaryOp)
    return all(
        isinstance(part, (*allowed, ast.unaryop, ast.expr_context)) for part in ast.walk(value)
    )


def _variables_of(function: ast.FunctionDef) -> tuple[set[str], set[str]]:
    """All variables of a function, and those that only hold functions of the archive."""
    bound = [part.arg for part in ast.walk(function) if isinstance(part, ast.arg)]
    stored = [
        part.id
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    ]
    to_functions = [
        ast.unparse(line.targets[0])
        for line in ast.walk(function)
        if isinstance(line, ast.Assign) and _ARCHIVE_NAME.fullmatch(ast.unparse(line.value))
    ]
    only = {name for name in to_functions if to_functions.count(name) == stored.count(name)}
    return {*bound, *stored}, only - set(bound)
