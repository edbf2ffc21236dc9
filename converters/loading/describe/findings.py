"""Values for a model card that were found in a model file, with their origin."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from converters.loading.sandbox.messages import SourceKind

_MOST_CLASSES: Final = 1000
_LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A value, its place in the file, and whether it is a guess that the user must check."""

    value: Any
    origin: str
    is_guess: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings for the keys of a card; None if not found. `outputs` is the number of classes."""

    architecture: Finding | None = None
    classes: Finding | None = None
    outputs: Finding | None = None
    height: Finding | None = None
    width: Finding | None = None
    mean: Finding | None = None
    std: Finding | None = None
    interpolation: Finding | None = None
    crop: Finding | None = None
    licence: Finding | None = None

    def completed_by(self, other: Findings) -> Findings:
        """These findings, completed by those of `other`."""
        return Findings(
            **{f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(self)}
        )


def to_json(findings: Findings) -> dict[str, Any]:
    """JSON types, for the child's answer to the converter."""
    return {key: value for key, value in asdict(findings).items() if value is not None}


def from_json(values: Any) -> Findings:
    """Findings from the child's answer; entries of another form are dropped."""
    known = {field.name for field in fields(Findings)}
    entries = values if isinstance(values, dict) else {}
    return Findings(
        **{
            key: Finding(
                entry["value"],
                str(entry.get("origin"))[:_LONGEST_TEXT],
                is_guess=bool(entry.get("is_guess")),
            )
            for key, entry in entries.items()
            if key in known and isinstance(entry, dict) and _is_sound(key, entry.get("value"))
        }
    )


def class_names(value: Any) -> list[str] | None:
    """Ordered class names from a list, {index: name} or {name: index}; None for anything else."""
    if isinstance(value, dict):
        value = _ordered(value)
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= _MOST_CLASSES:
        return None
    is_sound = all(isinstance(n, str) and 0 < len(n) <= _LONGEST_TEXT for n in value)
    return list(value) if is_sound and len(set(value)) == len(value) else None


def _ordered(names: dict[Any, Any]) -> list[Any] | None:
    if all(isinstance(value, int) for value in names.values()):
        names = {index: name for name, index in names.items()}
    try:
        places = {int(index): name for index, name in names.items()}
    except (TypeError, ValueError):
        return None
    in_order = [places[index] for index in sorted(places)]
    return in_order if sorted(places) == list(range(len(places))) else None


def _is_sound(key: str, value: Any) -> bool:
    if key == "classes":
        return class_names(value) is not None
    if key == "architecture":
        return isinstance(value, dict) and isinstance(value.get("name"), str)
    if key in ("mean", "std"):
        return is_triple(value)
    if key in ("height", "width", "outputs"):
        return type(value) is int and 0 < value <= 100_000
    if key == "crop":
        return isinstance(value, float) and 0.1 <= value <= 1
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def is_triple(value: Any) -> bool:
    """Whether this is a list of three numbers, one per channel."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    )


@dataclass(frozen=True, slots=True)
class Description:
    """The findings of a file. `needs_trust`: it can be opened only with `--trust-pickle`."""

    kind: SourceKind
    findings: Findings
    needs_trust: bool = False
