"""Finds the architecture that a training stored beside the weights."""

from __future__ import annotations

import re
from typing import Any, Final

from converters.architectures.name import Architecture, parse_architecture
from converters.loading.pickled.plain import as_mapping

_NAME: Final = re.compile(r"[\w.]{1,100}")
# Options of timm's train.py that change the network, with create_model's names for them.
_TIMM_OPTIONS: Final = {"gp": "global_pool", "bn_eps": "bn_eps"}


def file_architecture(tree: object, class_count: int) -> Architecture | None:
    """The architecture in files of timm's train.py and of torch's ImageNet example; else None."""
    content = as_mapping(tree) or {}
    arch, arguments = content.get("arch"), as_mapping(content.get("args")) or {}
    if not isinstance(arch, str) or not _NAME.fullmatch(arch):
        return None
    if arguments.get("model") == arch:
        return parse_architecture({"name": f"timm:{arch}", **_timm(arguments)}, class_count)
    if "best_acc1" in content:
        return parse_architecture(f"torchvision:{arch}", class_count)
    return None


def _timm(arguments: dict[Any, Any]) -> dict[str, Any]:
    options = dict(as_mapping(arguments.get("model_kwargs")) or {})
    options |= {
        name: arguments[key]
        for key, name in _TIMM_OPTIONS.items()
        if arguments.get(key) is not None
    }
    return {
        str(key): value
        for key, value in options.items()
        if key != "num_classes" and isinstance(value, str | int | float | bool)
    }
