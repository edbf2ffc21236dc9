"""Interprets the opcodes of a pickle without calling anything.

Python's unpickler imports and calls what a pickle names. Here names are only recorded, and so are
calls; only values that `Rebuild` knows are built.
"""

from __future__ import annotations

import pickletools
import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Protocol

# Messages of pickletools for a file that ends too early.
_ENDS_EARLY: Final = re.compile("exhausted|remain|not enough data|no newline|no bytes")


class PickleError(ValueError):
    """The pickle is damaged, or uses features that no training file needs; the text says which."""


class TruncatedError(PickleError):
    """The file ends too early."""


@dataclass(frozen=True, slots=True)
class ImportedName:
    """A class or function that the pickle names, as `module.name`; it was not imported."""

    name: str


@dataclass(slots=True, eq=False)
class RecordedCall:
    """A recorded call that was not made, and the state and items for its result."""

    name: str
    arguments: tuple[Any, ...]
    state: Any = None
    items: list[Any] | dict[Any, Any] = field(default_factory=list)


class Rebuild(Protocol):
    """Builds values for the few names of plain data types, and `RecordedCall` for all others."""

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The result of calling the named function or class."""

    def storage(self, identifier: Any) -> Any:
        """The storage of a tensor."""


def read_pickle(stream: BinaryIO, rebuild: Rebuild, names: dict[str, None]) -> Any:
    """Read one pickle from a stream, up to its end.

    Args:
        names: every name in the pickle is added to it, in order.

    Raises:
        PickleError: damaged, or it uses extension codes or external buffers.
    """
    machine = _Machine(rebuild, names)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.follow(opcode.name, argument)
        return machine.stack.pop()
    except PickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        kind = TruncatedError if _ENDS_EARLY.search(reason) else PickleError
        raise kind(f"its pickle is damaged: {reason}") from error


class _Machine:
    def __init__(self, rebuild: Rebuild, names: dict[str, None]) -> None:
        self.stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._rebuild = rebuild
        self._names = names

    def follow(self, opcode: str, argument: Any) -> None:
        """Execute one opcode."""
        if opcode in _CONSTANTS:
            self.stack.append(argument)
        elif opcode in _VALUES:
            self.stack.append(_VALUES[opcode]())
        elif opcode in _ARGUMENT_STEPS:
            _ARGUMENT_STEPS[opcode](self, argument)
        elif opcode in _STEPS:
            _STEPS[opcode](self)
        elif opcode not in _IGNORED:
            raise PickleError(f"its pickle uses {opcode}")

    def mark(self) -> None:
        self._marks.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self._marks.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def put(self, position: int) -> None:
        self._memo[position] = self.stack[-1]

    def get(self, position: int) -> None:
        self.stack.append(self._memo[position])

    def memoize(self) -> None:
        self.put(len(self._memo))

    def duplicate(self) -> None:
        self.stack.append(self.stack[-1])

    def name(self, text: str) -> None:
        # pickletools gives "module name".
        self._push_name(*text.split(" ", 1))

    def stack_name(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        # Protocol 2, which torch uses, has the names of Python 2.
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        full = f"{module}.{name}"
        self._names[full] = None
        self.stack.append(ImportedName(full))

    def tuple_of(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def marked(self, kind: Callable[[list[Any]], Any]) -> None:
        items = self.pop_mark()
        self.stack.append(kind(items))

    def append(self) -> None:
        item = self.stack.pop()
        self._extend([item])

    def appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        found = target.items if isinstance(target, RecordedCall) else target
        if isinstance(found, list):
            found.extend(items)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def set_items(self) -> None:
        self._update(self.pop_mark())

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, RecordedCall):
            target.items = target.items or {}
            target = target.items
        if isinstance(target, dict):
            target.update(_pairs(items))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self._call(function, arguments)

    def new_with_keywords(self) -> None:
        keywords, arguments, cls = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._call(cls, (*arguments, *keywords.values()))

    def call_from_mark(self) -> None:
        cls, *arguments = self.pop_mark()
        self._call(cls, tuple(arguments))

    def named_instance(self, text: str) -> None:
        arguments = self.pop_mark()
        self.name(text)
        self._call(self.stack.pop(), tuple(arguments))

    def _call(self, function: Any, arguments: tuple[Any, ...]) -> None:
        if isinstance(function, ImportedName):
            self.stack.append(self._rebuild.call(function.name, tuple(arguments)))
        else:
            self.stack.append(RecordedCall("the result of another call", (function, arguments)))

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], RecordedCall):
            self.stack[-1].state = state

    def storage(self) -> None:
        self.stack.append(self._rebuild.storage(self.stack.pop()))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


_CONSTANTS: Final = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
    | {"BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
# A set becomes a list, because its items may not be hashable here.
_VALUES: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
}
_ARGUMENT_STEPS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "GLOBAL": _Machine.name,
    "INST": _Machine.named_instance,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
}
_STEPS: Final[dict[str, Callable[[_Machine], None]]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine: machine.pop_mark().clear(),
    "DUP": _Machine.duplicate,
    "MEMOIZE": _Machine.memoize,
    "STACK_GLOBAL": _Machine.stack_name,
    "LIST": lambda machine: machine.marked(list),
    "TUPLE": lambda machine: machine.marked(tuple),
    "FROZENSET": lambda machine: machine.marked(list),
    "DICT": lambda machine: machine.marked(_pairs),
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "OBJ": _Machine.call_from_mark,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.storage,
}
_IGNORED: Final = frozenset({"PROTO", "FRAME", "STOP"})
