"""Builds the network for a state dict from the card's architecture. Runs in the child process."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from typing import Any, Final

from torch import nn

from converters.architectures.efficientnet_lite0 import efficientnet_lite0
from converters.architectures.libraries import LIBRARIES, nearest
from converters.architectures.name import Architecture
from edge.errors import ConfigError

REGISTRY: Final[dict[str, Callable[..., nn.Module]]] = {"efficientnet_lite0": efficientnet_lite0}

_FORMS: Final = " | ".join((*REGISTRY, *(f"{name}:NAME" for name in LIBRARIES)))


def build_network(architecture: Architecture | None, class_count: int) -> nn.Module:
    """An untrained network: a name in `REGISTRY`, a library's name or `package.module:function`.

    Raises:
        ConfigError: no such name or function, it refuses the arguments, or it does not return a
            torch module.
    """
    if architecture is None:
        raise ConfigError(
            "the file is a state dict and the card names no architecture; add "
            f"architecture: {_FORMS} | package.module:function."
        )
    constructor = _constructor(architecture)
    try:
        network = constructor(class_count, architecture.arguments)
    except ConfigError:
        raise
    except Exception as error:
        # The user's function may raise anything, and so may a library for wrong arguments.
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"architecture {architecture} with {class_count} classes cannot be built: "
            f"{type(error).__name__}: {reason}. Correct its name or arguments in the card."
        ) from error
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"architecture {architecture} returned {type(network)}, not a torch module."
        )
    return network


def _constructor(architecture: Architecture) -> Callable[[int, dict[str, Any]], object]:
    library, separator, name = architecture.name.partition(":")
    if library in LIBRARIES and separator:
        return LIBRARIES[library](name)
    function = REGISTRY.get(architecture.name) or _imported(architecture.name)
    return lambda class_count, arguments: _call(function, class_count, arguments)


def _call(function: Callable[..., object], class_count: int, arguments: dict[str, Any]) -> object:
    """Pass the number of classes as first argument, or as keyword `num_classes` if required."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:
        # Some functions written in C have no signature.
        return function(class_count, **arguments)
    named = parameters.get("num_classes")
    if named is not None and named.kind is named.KEYWORD_ONLY:
        return function(num_classes=class_count, **arguments)
    if all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters.values()):
        return function(num_classes=class_count, **arguments)
    return function(class_count, **arguments)


def _imported(name: str) -> Callable[..., object]:
    module_name, separator, function_name = name.partition(":")
    if not separator:
        raise ConfigError(
            f"architecture {name!r} is not known; give {_FORMS} | package.module:function."
            f"{_suggestion(name)}"
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"architecture {name}: {error}. Is it installed? A file of your own is found with "
            "PYTHONPATH=FOLDER edge-convert ..."
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything, and may exit
        raise ConfigError(
            f"architecture {name}: importing {module_name} ended with {type(error).__name__}: "
            f"{error}. Mend that module; it has to define a function and run nothing."
        ) from error
    function = getattr(module, function_name, None)
    if function is None:
        near = difflib.get_close_matches(function_name, dir(module), n=1)
        hint = f"did you mean {module_name}:{near[0]}?" if near else "correct it in the card."
        raise ConfigError(f"architecture {name}: {module_name} has no {function_name}; {hint}")
    if not callable(function):
        raise ConfigError(f"architecture {name} is not a function.")
    return function  # type: ignore[no-any-return]  # what it returns is checked by the caller


def _suggestion(name: str) -> str:
    """A hint if an installed library has a similar name, such as for `timm.resnet18`."""
    found = nearest(name.rpartition(".")[2], count=1)
    return f" Did you mean {' or '.join(found)}?" if found else ""
