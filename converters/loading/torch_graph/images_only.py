"""Wraps a torch module so that its only input is images. Runs in the child process."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from converters.loading.canonical.working_model.refusals import has_other_inputs
from edge.errors import ModelError


class ImagesOnly(nn.Module):
    """A module whose only input is float images (batch, 3, height, width).

    Args:
        module: called with the images and `others`.
        is_channels_last: whether `module` takes images (batch, height, width, 3).
    """

    def __init__(
        self, module: nn.Module, others: Sequence[Any] = (), *, is_channels_last: bool = False
    ) -> None:
        super().__init__()
        self.module = module
        self.others = tuple(others)
        self.is_channels_last = is_channels_last

    def forward(self, images: Tensor) -> Any:
        """The module's output."""
        given = images.permute(0, 2, 3, 1) if self.is_channels_last else images
        return self.module(given, *self.others)


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    kind: str
    has_default: bool
    may_be_none: bool
    is_keyword: bool


def with_images_only(module: nn.Module, name: str) -> tuple[nn.Module, list[str]]:
    """Set the module's other inputs to their defaults or to None; returns the changes in words.

    Raises:
        ModelError: it needs another input, or its first input is not a tensor.
    """
    is_script = isinstance(module, torch.jit.ScriptModule)
    inputs = list(_of_script(module) if is_script else _of_code(module.forward))
    if is_script and inputs and inputs[0].kind not in ("Tensor", "Optional[Tensor]"):
        raise takes_no_tensor(name, inputs[0].name, inputs[0].kind)
    others = inputs[1:]
    needed = [found for found in others if not found.has_default]
    if not all(found.may_be_none for found in needed):
        raise has_other_inputs(name, [found.name for found in (inputs[0], *needed)])
    changes = [f"its input {found.name[:40]} was left None" for found in needed]
    # The exporter needs a value for each input of a script, and cannot handle keyword inputs.
    if needed or (others and (is_script or any(found.is_keyword for found in others))):
        return ImagesOnly(module, [None] * len(needed)), changes
    return module, changes


def takes_no_tensor(name: str, input_name: str, kind: str) -> ModelError:
    """The error for a network whose input is a list or a dictionary."""
    return ModelError(
        f"{name} takes {kind[:80]} as its input {input_name[:40]}, but one tensor of images is "
        "needed. Save a module whose forward takes the tensor and passes it on in that form."
    )


def _of_script(module: Any) -> Iterator[_Input]:
    for found in module.forward.schema.arguments[1:]:
        kind = str(found.type.annotation_str)
        may_be_none = isinstance(found.type, torch.OptionalType)
        yield _Input(found.name, kind, found.has_default_value(), may_be_none, found.kwarg_only)


def _of_code(forward: Callable[..., Any]) -> Iterator[_Input]:
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for found in inspect.signature(forward).parameters.values():
        if found.kind in various:
            continue
        kind = found.annotation if isinstance(found.annotation, str) else repr(found.annotation)
        is_keyword = found.kind is inspect.Parameter.KEYWORD_ONLY
        may_be_none = not is_keyword and ("Optional[" in kind or "None" in kind)
        yield _Input(found.name, kind, found.default is not found.empty, may_be_none, is_keyword)
