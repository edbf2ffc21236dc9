"""The tensor names that a network's file may use: its own, and those of older library versions."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn


def file_names(network: nn.Module) -> list[dict[str, str]]:
    """Each possible naming, as a mapping from the name in the file to the network's own name."""
    own = network.state_dict()
    ways = [{name: name for name in own}]
    if type(network).__module__.startswith("transformers."):
        renamed = _of_transformers(network, own)
        ways += [renamed] if renamed.keys() != own.keys() else []
    return ways


def _of_transformers(network: nn.Module, own: dict[str, Any]) -> dict[str, str]:
    """The names that `save_pretrained` of transformers 5 writes: those of version 4."""
    try:
        loading: Any = importlib.import_module("transformers.core_model_loading")
    except ImportError:
        return {name: name for name in own}
    names = {(t.data_ptr(), t.shape): name for name, t in own.items()}
    written = loading.revert_weight_conversion(network, dict(own))
    found = {name: names.get((t.data_ptr(), t.shape)) for name, t in written.items()}
    renamed = {name: inner for name, inner in found.items() if inner is not None}
    # A tensor that is saved in several parts has no single name; then keep the network's own names.
    return renamed if sorted(renamed.values()) == sorted(own) else {name: name for name in own}
