"""Compares a card with the config.json beside the model's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from converters.inputs.card import ModelCard
from converters.new_card.configs import CONFIG, read_configs

_DIFFERENT: Final = 0.005
# By method of Pillow, which smooths when it shrinks: the similar methods of the card.
_NEAR: Final = {
    "nearest": ("nearest",),
    "bilinear": ("linear", "area"),
    "bicubic": ("cubic", "area"),
    "lanczos": ("cubic", "area"),
    "box": ("area",),
}


def contradictions(model: Path, card: ModelCard) -> list[str]:
    """A warning for each value of the card that contradicts config.json beside the model."""
    found, spec = read_configs(model), card.input
    said: dict[str, tuple[Any, Any]] = {
        "classes": (found.classes, list(card.classes)),
        "input.height": (found.height, spec.height),
        "input.width": (found.width, spec.width),
        "input.mean": (found.mean, list(spec.mean)),
        "input.std": (found.std, list(spec.std)),
        "input.crop": (found.crop, spec.crop),
    }
    warnings = [
        _warning(key, finding.value, own)
        for key, (finding, own) in said.items()
        if finding is not None and not _agree(finding.value, own)
    ]
    if card.architecture and found.architecture:
        name = found.architecture.value["name"]
        if ":" in card.architecture.name and not _is_same(name, card.architecture.name):
            warnings.append(_warning("architecture", name, card.architecture.name))
    if found.interpolation and spec.resize not in _NEAR.get(found.interpolation.value, spec.resize):
        warnings.append(_warning("input.resize", found.interpolation.value, spec.resize))
    return warnings


def _warning(key: str, found: Any, own: Any) -> str:
    return f"{CONFIG} beside the model says {key} {found}, the card says {own}; check the card."


def _agree(found: Any, own: Any) -> bool:
    if isinstance(found, list) and isinstance(own, list):
        return len(found) == len(own) and all(map(_agree, found, own))
    if isinstance(found, float):
        return bool(abs(found - own) < _DIFFERENT)
    return bool(found == own)


def _is_same(first: str, second: str) -> bool:
    """Whether two names are the same architecture; timm's may end in `.` and a weights' tag."""
    return first.partition(".")[0] == second.partition(".")[0]
