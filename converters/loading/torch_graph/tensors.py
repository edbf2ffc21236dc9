"""Finds the tensors in a torch module's output, and selects some. Runs in the child process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from converters.loading.torch_graph.images_only import ImagesOnly


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """The place of a tensor in a nested output: its path in words, and the subscripts."""

    path: str = ""
    keys: tuple[object, ...] = ()

    def within(self, name: object, key: object) -> _Place:
        path = f"{self.path}.{name}" if self.path else str(name)
        return _Place(path, (*self.keys, key))


class Outputs(nn.Module):
    """A module that returns some of the outputs of another module."""

    def __init__(self, module: nn.Module, chosen: list[str]) -> None:
        super().__init__()
        self.module = module
        self.chosen = chosen

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The chosen tensors (batch, ...) as a tuple; a single one without the tuple."""
        found = named_tensors(self.module(images))
        chosen = tuple(found[name] for name in self.chosen)
        return chosen if len(chosen) > 1 else chosen[0]


def named_tensors(output: object) -> dict[str, Tensor]:
    """All tensors of an output by path; if the output is a tensor, its path is empty."""
    return {place.path: tensor for place, tensor in _placed(output)}


def select_outputs(module: nn.Module, chosen: list[str], example: Tensor) -> nn.Module:
    """Reduce the module's outputs to the chosen ones.

    Args:
        chosen: paths from `named_tensors`.
        example: a batch of images for the module.
    """
    script, others = _script_within(module)
    if script is None:
        return Outputs(module, chosen)
    # A script may return None beside its tensors, as torchvision's Inception does for an output
    # that is only for training. A trace cannot handle None, but another script can.
    places = {place.path: place.keys for place, _ in _placed(module(example))}
    try:
        picked = _picked(script, others, [places[path] for path in chosen])
    except RuntimeError:
        # The script's types do not say that these are tensors.
        return Outputs(module, chosen)
    is_last = any(
        isinstance(part, ImagesOnly) and part.is_channels_last for part in module.modules()
    )
    return ImagesOnly(picked, is_channels_last=True) if is_last else picked


def _placed(output: object, place: _Place | None = None) -> Iterator[tuple[_Place, Tensor]]:
    place = place or _Place()
    if isinstance(output, Tensor):
        yield place, output
        return
    parts: list[tuple[object, object, object]] = []
    if isinstance(output, Mapping):
        parts = [(key, key, part) for key, part in output.items()]
    elif isinstance(output, tuple | list):
        names = getattr(output, "_fields", range(len(output)))
        parts = [(name, n, output[n]) for n, name in enumerate(names)]
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        names = [field.name for field in dataclasses.fields(output)]
        parts = [(name, name, getattr(output, name)) for name in names]
    for name, key, part in parts:
        yield from _placed(part, place.within(name, key))


def _script_within(module: nn.Module) -> tuple[Any, tuple[Any, ...]]:
    """The script inside the wrappers, and its other arguments; None if it is not a script."""
    found: Any = module
    others: tuple[Any, ...] = ()
    while isinstance(found, ImagesOnly):
        found, others = found.module, found.others or others
    return (found if isinstance(found, torch.jit.ScriptModule) else None), others


def _picked(
    script: Any, others: tuple[Any, ...], places: Sequence[tuple[object, ...]]
) -> nn.Module:
    """A script that calls another and returns the tensors at some places of its output."""
    holder = nn.Module()
    holder.module = script
    picked: Any = torch.jit.script(holder)
    picked.define(_source(others, places))
    alone: nn.Module = picked.eval()
    return alone


def _source(others: tuple[Any, ...], places: Sequence[tuple[object, ...]]) -> str:
    given = ", ".join(["images", *map(repr, others)])
    lines, names = [f"found = self.module({given})", "assert found is not None"], []
    for number, keys in enumerate(places):
        name = "found"
        for depth, key in enumerate(keys):
            part = f"part_{number}_{depth}"
            # The type may be Optional; TorchScript accepts the subscript only after an assertion.
            lines += [f"{part} = {name}[{key!r}]", f"assert {part} is not None"]
            name = part
        names.append(name)
    body = "\n    ".join([*lines, f"return {', '.join(names)}"])
    return f"def forward(self, images):\n    {body}\n"
