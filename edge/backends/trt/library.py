"""NVIDIA's two libraries: TensorRT, and TensorRT for RTX, which builds without a GPU.

Their Python interfaces differ in a few names only, so all other code here works with either of
them as a `Library`.
"""

from __future__ import annotations

import importlib
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from weakref import WeakSet

from edge.errors import BackendError
from edge.system.installation import install_command

TENSORRT: Final = "tensorrt"
TENSORRT_RTX: Final = "tensorrt-rtx"
LIBRARIES: Final = (TENSORRT, TENSORRT_RTX)

# A machine whose TensorRT libraries were installed without pip may have only `tensorrt_bindings`.
_MODULES: Final = {TENSORRT: ("tensorrt", "tensorrt_bindings"), TENSORRT_RTX: ("tensorrt_rtx",)}
_EXTRAS: Final = {TENSORRT: "tensorrt", TENSORRT_RTX: "rtx"}
# TensorRT 8.5 and older lack the tensor-address interface.
_OLDEST: Final = {TENSORRT: (8, 6), TENSORRT_RTX: (1, 0)}
# A build may log thousands of lines; only the last ones are kept.
_KEPT_LINES: Final = 50


@dataclass(frozen=True, slots=True)
class Library:
    """An imported library. `module` is `tensorrt` or `tensorrt_rtx`."""

    name: str
    version: str
    module: Any

    @property
    def is_rtx(self) -> bool:
        """Whether this is TensorRT for RTX."""
        return self.name == TENSORRT_RTX

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version.split(".", maxsplit=1)[0])

    @property
    def is_weakly_typed(self) -> bool:
        """Whether it chooses each layer's precision itself, among those allowed (TensorRT 8)."""
        return not self.is_rtx and self.major < 10

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def open_library(name: str) -> Library:
    """Import a library.

    Raises:
        BackendError: it is not installed, does not load here, or is too old.
    """
    problems = []
    for module_name in _MODULES[name]:
        try:
            module = importlib.import_module(module_name)
            version = str(module.__version__)
        except ModuleNotFoundError as error:
            problems.append(f"no module {error.name}")
        # The packages load native libraries on import, and raise various exceptions.
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            problems.append(" ".join(str(error).split())[:200])
        else:
            return _supported(Library(name, version, module))
    raise BackendError(
        f"{name} cannot be loaded ({problems[0]}). "
        f"{install_command(_EXTRAS[name])} or choose another back end."
    )


def _supported(library: Library) -> Library:
    oldest = _OLDEST[library.name]
    found = tuple(int(part) for part in library.version.split(".")[:2] if part.isdigit())
    if found < oldest:
        raise BackendError(
            f"{library} is installed, {'.'.join(map(str, oldest))} or newer is needed. Update it."
        )
    return library


class Messages:
    """The last errors that a library logged since `clear`. `logger` is passed to the library.

    Several instances may exist, such as for a build and for a running engine; each receives all
    errors of the library.
    """

    def __init__(self, library: Library) -> None:
        self.logger = _logger(library.module)
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.logger.listeners.add(self)

    def add(self, text: str) -> None:
        """Store an error that the library logs."""
        self._lines.append(" ".join(text.split()))

    def clear(self) -> None:
        """Drop the errors of earlier steps."""
        self._lines.clear()

    def reason(self) -> str:
        """The first error since `clear`; later ones are usually its consequences."""
        return self._lines[0] if self._lines else "the library gave no reason"


@cache
def _logger(module: Any) -> Any:
    """The only logger of a library; it is never freed.

    A library keeps using the first logger that it was given, and its objects log while they are
    destroyed. If Python has freed that logger, TensorRT 8.6 crashes the process.
    """
    severity = module.ILogger.Severity
    kept = (severity.INTERNAL_ERROR, severity.ERROR)

    class Logger(module.ILogger):  # type: ignore[misc]
        # Defined here because its base class is known only once the library is imported.
        def __init__(self) -> None:
            super().__init__()
            self.listeners: WeakSet[Messages] = WeakSet()

        def log(self, level: object, text: str) -> None:
            if level in kept:
                for messages in tuple(self.listeners):
                    messages.add(text)

    return Logger()
