"""The tensors that a torch module gives, in whatever form, and some of them alone. In the child."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from converters.loading.torch_graph.of_images import OfImages


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies in an output: the names on the way, and what to subscript with."""

    path: str = ""
    keys: tuple[object, ...] = ()

    def within(self, name: object, key: object) -> _Place:
        path = f"{self.path}.{name}" if self.path else str(name)
        return _Place(path, (*self.keys, key))


class Outputs(nn.Module):
    """A module of which some of several outputs are taken."""

    def __init__(self, module: nn.Module, chosen: list[str]) -> None:
        super().__init__()
        self.module = module
        self.chosen = chosen

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The chosen tensors (batch, ...) as the module gives them; a lone one by itself."""
        found = named_tensors(self.module(images))
        chosen = tuple(found[name] for name in self.chosen)
        return chosen if len(chosen) > 1 else chosen[0]


def named_tensors(output: object) -> dict[str, Tensor]:
    """All tensors of an output by their path in it; a lone tensor has an empty one."""
    return {place.path: tensor for place, tensor in _placed(output)}


def chosen_alone(module: nn.Module, chosen: list[str], example: Tensor) -> nn.Module:
    """The module with some of its outputs alone.

    Args:
        chosen: paths, as `named_tensors` gives them.
        example: images that the module takes.
    """
    script, others = _script_within(module)
    if script is None:
        return Outputs(module, chosen)
    # A script may give None beside its tensors, as torchvision's Inception does for the output
    # that is for training alone. A trace cannot follow that, another script can.
    places = {place.path: place.keys for place, _ in _placed(module(example))}
    try:
        picked = _picked(script, others, [places[path] for path in chosen])
    except RuntimeError:
        # Its types do not tell that these are tensors.
        return Outputs(module, chosen)
    is_last = any(isinstance(part, OfImages) and part.is_channels_last for part in module.modules())
    return OfImages(picked, is_channels_last=True) if is_last else picked


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
    """The script that is called with images, and with what besides; None where it is no script."""
    found: Any = module
    others: tuple[Any, ...] = ()
    while isinstance(found, OfImages):
        found, others = found.module, found.others or others
    return (found if isinstance(found, torch.jit.ScriptModule) else None), others


def _picked(
    script: Any, others: tuple[Any, ...], places: Sequence[tuple[object, ...]]
) -> nn.Module:
    """A script that calls another and gives the tensors at some places of its output."""
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
            # What may be None by its type is a tensor, or holds one, behind the assertion only.
            lines += [f"{part} = {name}[{key!r}]", f"assert {part} is not None"]
            name = part
        names.append(name)
    body = "\n    ".join([*lines, f"return {', '.join(names)}"])
    return f"def forward(self, images):\n    {body}\n"
