"""Checks the pickles in a TorchScript archive, without torch.

torch.jit.load does not check two things: that a stored tensor is as long as declared (it would read
memory beyond it), and that an object in a field has the field's class.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, NamedTuple, Self

_ITEM_BYTES: Final = {
    **dict.fromkeys(("Bool", "Byte", "Char", "Float8_e4m3fn", "Float8_e5m2"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
# Functions that build tensors, typed lists and devices. Quantized and sparse tensors are excluded:
# torch does not check them, and no classifier needs them.
_BUILDERS: Final = frozenset(
    {
        "torch._utils._rebuild_tensor_v2",
        "torch.jit._pickle.build_intlist",
        "torch.jit._pickle.build_tensorlist",
        "torch.jit._pickle.build_doublelist",
        "torch.jit._pickle.build_boollist",
        "torch.jit._pickle.build_tensor_from_id",
        "torch.jit._pickle.restore_type_tag",
        "collections.OrderedDict",
        "builtins.complex",
        "torch.device",
    }
)
_CLASS: Final = re.compile(r"__torch__(?!\.torch\.classes\b)(\.\w+)*")


class _Built:
    """A recorded call of a builder or a class of the archive; it is not run."""

    name = ""
    given: list[Any]

    def __new__(cls, *given: Any) -> Self:
        built = super().__new__(cls)
        built.given = list(given)
        return built

    def __setstate__(self, state: object) -> None:
        self.given.append(state)


class _Storage(NamedTuple):
    item_bytes: int


def read_objects(
    content: bytes,
    storage_bytes: Callable[[str], int],
    fields: Mapping[str, Mapping[str, str]],
) -> None:
    """Check one pickle.

    Args:
        storage_bytes: returns the size of the stored tensor with a key.
        fields: for each class of the archive, its fields and their declared types.

    Raises:
        pickle.UnpicklingError: it names a function that is not allowed, reads beyond a stored
            tensor, or has an object of another class in a field.
    """
    found = _Unpickler(content, storage_bytes).load()
    for built in _objects(found):
        if built.name in fields:
            _check_fields(built, fields[built.name])


class _Unpickler(pickle._Unpickler):  # noqa: SLF001  # the Python implementation can be extended
    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)  # noqa: SLF001

    def load_reduce(self) -> None:
        """As in Python; but arguments may be a single value, as torch writes enumerations."""
        given = self.stack.pop()
        self.stack[-1] = self.stack[-1](*given if isinstance(given, tuple) else (given,))

    dispatch[pickle.REDUCE[0]] = load_reduce

    def __init__(self, content: bytes, storage_bytes: Callable[[str], int]) -> None:
        super().__init__(io.BytesIO(content))
        self._storage_bytes = storage_bytes

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if module == "torch" and name.removesuffix("Storage") in _ITEM_BYTES:
            return _Storage(_ITEM_BYTES[name.removesuffix("Storage")])
        if full not in _BUILDERS and not _CLASS.fullmatch(full):
            raise pickle.UnpicklingError(f"it names {full[:80]}")
        return type("_Named", (_Built,), {"name": full})

    def persistent_load(self, pid: Any) -> object:
        match pid:
            case ("storage", _Storage(item_bytes), str(key), str(), int(count)):
                if not 0 <= count * item_bytes <= self._storage_bytes(key):
                    raise pickle.UnpicklingError(f"tensor {key[:20]} is shorter than it declares")
                return _Built()
        raise pickle.UnpicklingError("a stored tensor is not declared in torch's way")


def _check_fields(built: _Built, types: Mapping[str, str]) -> None:
    """Require that objects in a field have the class that the field's type names."""
    states = [state for state in built.given if isinstance(state, dict)]
    for field, value in ((f, v) for state in states for f, v in state.items()):
        named = {found[0] for found in _CLASS.finditer(types.get(field, ""))}
        for inner in _objects(value, into_classes=False):
            if inner.name.startswith("__torch__") and {inner.name} != named:
                raise pickle.UnpicklingError(f"field {field!r:.40} holds another class")


def _objects(root: object, *, into_classes: bool = True) -> Iterator[_Built]:
    """All recorded objects inside lists, tuples, dictionaries and other objects."""
    waiting, seen = [root], set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, _Built):
            yield value
            if into_classes or not value.name.startswith("__torch__"):
                waiting += value.given
