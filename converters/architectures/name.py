"""Parses the card's `architecture`: a name, and keyword arguments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from edge.errors import ConfigError

# `registry_name`, `timm:name`, `package.module:function`.
_NAME: Final = re.compile(r"[\w.\-]+(?::[\w.\-]+)?")
# Arguments that would load other weights: they must come from the file, and the child process has
# no internet access.
_WEIGHTS: Final = re.compile(
    r"(pretrained|weights|checkpoint).*|cache_dir|url|hf_hub_id|trust_remote_code|auto_map"
)
_FORM: Final = "architecture: {name: timm:vit_tiny_patch16_224, img_size: 96}"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The name of the function that builds the network, and its keyword arguments.

    `arguments` are numbers, texts, bools, None, lists and mappings.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.name}({given})" if given else self.name


def parse_architecture(value: Any, class_count: int) -> Architecture | None:
    """The card's value: a name, or a mapping of `name` and keyword arguments.

    Raises:
        ConfigError: neither, arguments that load weights, or another number of classes.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ConfigError(f"architecture is {value!r}; give a name, or {_FORM}.")
    arguments = {key: given for key, given in value.items() if key != "name"}
    if not _NAME.fullmatch(value["name"]):
        raise ConfigError(
            f"architecture {value['name']!r} is not a name; give timm:NAME, torchvision:NAME, "
            "transformers:TYPE or package.module:function."
        )
    for key in arguments:
        if _WEIGHTS.fullmatch(key):
            raise ConfigError(
                f"architecture has {key}; leave it out, the weights come from the file alone."
            )
    if arguments.pop("num_classes", class_count) != class_count:
        raise ConfigError(
            f"architecture has num_classes {value['num_classes']!r} and the card has {class_count} "
            "classes; leave num_classes out."
        )
    return Architecture(value["name"], arguments)
