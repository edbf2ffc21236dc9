"""The names that a network's tensors have in files: its own, and those that its library writes."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn


def file_names(network: nn.Module) -> list[dict[str, str]]:
    """Each way to name the tensors in a file, as the name in the file and the network's own."""
    own = network.state_dict()
    ways = [{name: name for name in own}]
    if type(network).__module__.startswith("transformers."):
        renamed = _of_transformers(network, own)
        ways += [renamed] if renamed.keys() != own.keys() else []
    return ways


def _of_transformers(network: nn.Module, own: dict[str, Any]) -> dict[str, str]:
    """What `save_pretrained` of transformers 5 writes: the names of its version 4."""
    try:
        loading: Any = importlib.import_module("transformers.core_model_loading")
    except ImportError:
        return {name: name for name in own}
    names = {(t.data_ptr(), t.shape): name for name, t in own.items()}
    written = loading.revert_weight_conversion(network, dict(own))
    found = {name: names.get((t.data_ptr(), t.shape)) for name, t in written.items()}
    renamed = {name: inner for name, inner in found.items() if inner is not None}
    # Where a tensor is put together of several when it is saved, it has no one name.
    return renamed if sorted(renamed.values()) == sorted(own) else {name: name for name in own}
