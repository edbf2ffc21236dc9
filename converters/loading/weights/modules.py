"""Finds the network in the object that a trusted pickle contains."""

from __future__ import annotations

from typing import Any, Final

from torch import nn
from torch.nn.modules.loss import _Loss
from torch.nn.parallel import DataParallel, DistributedDataParallel

from converters.loading.sandbox.messages import ChildRequest
from converters.loading.weights.candidates import KNOWN_KEYS, is_average
from converters.loading.weights.walk import contents
from edge.errors import ModelError

# Wrappers that split a batch over several GPUs; the exporter cannot handle them.
_AROUND: Final = (DataParallel, DistributedDataParallel)
_SHOWN: Final = 4


def main_module(loaded: object) -> tuple[str, nn.Module | None]:
    """The module that the file contains, directly or under a common key; with this key."""
    if isinstance(loaded, nn.Module) and not isinstance(loaded, nn.ModuleList):
        return "", _within(loaded)
    entries: dict[Any, Any] = loaded if isinstance(loaded, dict) else {}
    for key in KNOWN_KEYS:
        if isinstance(entries.get(key), nn.Module):
            return key, _within(entries[key])
    return "", None


def only_module(loaded: object, request: ChildRequest) -> tuple[str, nn.Module | None]:
    """The only module anywhere in the object, or the only average among several; with its key.

    Raises:
        ModelError: there are several.
    """
    found = {
        key: content
        for key, content in contents(loaded)
        if isinstance(content, nn.Module) and not isinstance(content, _Loss | nn.ModuleList)
    }
    found = {k: m for k, m in found.items() if is_average(k)} or found
    if len(found) > 1:
        shown = ", ".join(repr(key) for key in list(found)[:_SHOWN])
        raise ModelError(
            f"{request.name} holds {len(found)} networks, under {shown}. Save the one that is "
            "meant: torch.save(model.state_dict(), FILE)."
        )
    return next(((key, _within(module)) for key, module in found.items()), ("", None))


def _within(module: nn.Module) -> nn.Module:
    while isinstance(module, _AROUND):
        module = module.module
    return module
