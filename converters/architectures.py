"""Which Python code builds the network that a state dict belongs to."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from torch import nn

from converters.reference.network import efficientnet_lite0
from edge.errors import ConfigError

Constructor = Callable[[int], nn.Module]

REGISTRY: Final[dict[str, Constructor]] = {"efficientnet_lite0": efficientnet_lite0}


def build_network(architecture: str | None, class_count: int) -> nn.Module:
    """An untrained network from a name in `REGISTRY` or from `package.module:function`.

    The function is called with the number of classes.

    Raises:
        ConfigError: no such name or function, or it does not give a torch module.
    """
    if architecture is None:
        raise ConfigError(
            "the file is a state dict and the card names no architecture; add "
            f"architecture: {' | '.join(REGISTRY)} | package.module:function."
        )
    constructor = REGISTRY.get(architecture) or _imported(architecture)
    network = constructor(class_count)
    if not isinstance(network, nn.Module):
        raise ConfigError(f"architecture {architecture} gave {type(network)}, not a torch module.")
    return network


def _imported(architecture: str) -> Constructor:
    module_name, separator, function_name = architecture.partition(":")
    if not separator:
        raise ConfigError(
            f"architecture {architecture!r} is not known; give {', '.join(REGISTRY)} or "
            "package.module:function."
        )
    try:
        constructor = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"architecture {architecture}: {error}. Is it installed?") from error
    if not callable(constructor):
        raise ConfigError(f"architecture {architecture} is not a function.")
    return constructor  # type: ignore[no-any-return]  # what it returns is checked by the caller
