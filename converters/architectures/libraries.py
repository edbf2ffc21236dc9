"""Builds networks of timm, torchvision and transformers by name, without pretrained weights."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from torch import nn

from edge.errors import ConfigError

Build = Callable[[int, dict[str, Any]], nn.Module]


def nearest(name: str, *, count: int) -> list[str]:
    """The most similar names in the installed libraries, each as `library:name`."""
    found = []
    for library, names in _NAMES.items():
        if importlib.util.find_spec(library) is not None:
            known = names(_library(library))
            found += [f"{library}:{near}" for near in _near(name, known, count)]
    return found


def _near(name: str, known: list[str], count: int) -> list[str]:
    return difflib.get_close_matches(name.lower(), known, n=count, cutoff=0.75)


def _library(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        missing = error.name or library
        whose = "which" if missing == library else f"and {missing}"
        raise ConfigError(
            f"the architecture needs {library}, {whose} is not installed here. "
            f"Install it: pip install {missing}"
        ) from error


def _known(library: str, name: str) -> ModuleType:
    """Import the library and check that it has this name."""
    module: ModuleType = _library(library)
    known = _NAMES[library](module)
    if name.partition(".")[0] not in known:
        near = ", ".join(f"{library}:{n}" for n in _near(name, known, 3))
        hint = f" Did you mean {near}?" if near else ""
        raise ConfigError(
            f"architecture {library}:{name} is not in {library} {module.__version__}.{hint}"
        )
    return module


def _from_timm(name: str) -> Build:
    timm: Any = _known("timm", name)
    return lambda class_count, arguments: timm.create_model(
        name, pretrained=False, num_classes=class_count, **arguments
    )


def _from_torchvision(name: str) -> Build:
    torchvision: Any = _known("torchvision", name)
    return lambda class_count, arguments: torchvision.models.get_model(
        name, weights=None, num_classes=class_count, **arguments
    )


def _from_transformers(name: str) -> Build:
    transformers: Any = _known("transformers", name)

    def build(class_count: int, arguments: dict[str, Any]) -> nn.Module:
        config = transformers.AutoConfig.for_model(name, **arguments, num_labels=class_count)
        # "eager" attention is the plain form, which every exporter supports.
        network: nn.Module = transformers.AutoModelForImageClassification.from_config(
            config, attn_implementation="eager"
        )
        # The network returns an object of which only the logits are needed.
        network.register_forward_hook(lambda _module, _images, output: output.logits)
        return network

    return build


def _image_types(_transformers: Any) -> list[str]:
    mapping: Any = importlib.import_module("transformers.models.auto.modeling_auto")
    return list(mapping.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)


LIBRARIES: Final[dict[str, Callable[[str], Build]]] = {
    "timm": _from_timm,
    "torchvision": _from_torchvision,
    "transformers": _from_transformers,
}
_NAMES: Final[dict[str, Callable[[Any], list[str]]]] = {
    "timm": lambda timm: list(timm.list_models()),
    "torchvision": lambda torchvision: list(
        torchvision.models.list_models(module=torchvision.models)
    ),
    "transformers": _image_types,
}
