"""The tensors that a torch module gives, in whatever form. In the child."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import Tensor


def named_tensors(output: object, path: str = "") -> dict[str, Tensor]:
    """All tensors of an output by their path in it; a lone tensor has an empty one."""
    if isinstance(output, Tensor):
        return {path: output}
    if isinstance(output, Mapping):
        parts = dict(output)
    elif isinstance(output, tuple | list):
        parts = dict(zip(getattr(output, "_fields", range(len(output))), output, strict=True))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        fields = dataclasses.fields(output)
        parts = {field.name: getattr(output, field.name) for field in fields}
    else:
        parts = {}
    found: dict[str, Tensor] = {}
    for key, part in parts.items():
        found |= named_tensors(part, f"{path}.{key}" if path else str(key))
    return found
